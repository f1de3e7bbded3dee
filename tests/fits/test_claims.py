"""The claims are judged by what the fits say, and by nothing where they say nothing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scaling_lab.fits.claims import judge_claims
from scaling_lab.fits.evidence import ABSENT, FAILS, HOLDS, OPEN
from scaling_lab.fits.inconsistencies import paper_readings
from scaling_lab.fits.judges import CLAIMS, largest_in_window


def estimate(value: float, half: float) -> dict[str, Any]:
    return {"value": value, "interval": {"level": 0.9, "low": value - half, "high": value + half}}


def judged(folder: Path, **fits: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The claims by number, of one study with the given fits."""
    for name, document in fits.items():
        path = folder / "fits" / "study" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = {"status": "ok", "reason": None, "provenance": {"simulated": False}} | document
        path.write_text(json.dumps(whole))
    judge_claims(["study"], folder, folder / "claims.json")
    return {claim["number"]: claim for claim in json.loads((folder / "claims.json").read_text())["claims"]}


def surface(value: float, half: float, scatter: float = 0.01) -> dict[str, Any]:
    return {
        "derived": {"overfitting_exponent": estimate(value, half)}, "diagnostics": {"residual_sd_log": scatter},
    }  # fmt: skip


def test_without_fits_nothing_is_judged(tmp_path: Path) -> None:
    claims = judged(tmp_path)
    assert len(claims) == len(CLAIMS) == 8
    assert {claim["verdict"] for claim in claims.values()} == {ABSENT}


@pytest.mark.parametrize(
    ("document", "verdict"),
    [
        (surface(0.74, 0.05), HOLDS),
        (surface(0.40, 0.05), FAILS),
        (surface(0.74, 0.30), OPEN),
        (surface(0.74, 0.05, scatter=0.05), FAILS),
        ({"status": "refused", "reason": {"code": "not_identified", "message": "why"}}, OPEN),
    ],
)
def test_overfitting_is_judged_by_the_exponent_and_the_scatter(
    tmp_path: Path, document: dict[str, Any], verdict: str
) -> None:
    assert judged(tmp_path, early_stopped=document)[3]["verdict"] == verdict


def test_a_constant_that_is_clearly_better_refutes_the_power_law(tmp_path: Path) -> None:
    law = {"parameters": {"alpha": estimate(0.1, 0.01)}}
    alike = law | {"alternatives": {"power": {"aicc": -80.0}, "power_offset": {"aicc": -79.0}}}
    better = law | {"alternatives": {"power": {"aicc": -80.0}, "power_offset": {"aicc": -95.0}}}
    assert judged(tmp_path / "a", params=alike, tokens=alike, compute=law)[2]["verdict"] == HOLDS
    assert judged(tmp_path / "b", params=alike, tokens=better, compute=law)[2]["verdict"] == FAILS
    assert judged(tmp_path / "c", params=alike)[2]["verdict"] == OPEN


def test_transfer_and_batch_and_efficiency(tmp_path: Path) -> None:
    texts = {name: {"name": name, "slope": estimate(slope, 0.05)} for name, slope in (("wiki", 1.0), ("books", 0.8))}
    claims = judged(
        tmp_path, transfer={"texts": texts}, critical_batch=scan(estimate(0.05, 0.1), estimate(0.3, 1.0)),
        sample_efficiency={"parameters": {"alpha": estimate(0.1, 0.2)}},
    )  # fmt: skip
    assert (claims[5]["verdict"], claims[8]["verdict"], claims[6]["verdict"]) == (FAILS, HOLDS, OPEN)
    assert "books" in claims[5]["why"]
    assert "wiki" not in claims[5]["why"]


def scan(growth: dict[str, Any], steepening: dict[str, Any]) -> dict[str, Any]:
    by_size = {"status": "ok", "reason": None, "loss": 4.5, "growth": growth, "steepening": steepening, "sizes": []}
    return {"parameters": {"alpha_B": estimate(0.2, 0.05)}, "by_size": by_size}


@pytest.mark.parametrize(
    ("document", "verdict", "words"),
    [
        (scan(estimate(0.0, 0.2), estimate(0.0, 1.0)), HOLDS, r"grows at a loss of 4.5 is 0 \(-0.2 to 0.2\)"),
        (scan(estimate(0.3, 0.1), estimate(0.0, 1.0)), FAILS, r"0.3 \(0.2 to 0.4\), and 0 where"),
        (scan(estimate(0.0, 0.2), estimate(2.0, 1.0)), FAILS, r"per factor of ten in N is 2 \(1 to 3\)"),
        (scan(estimate(0.3, 0.6), estimate(0.0, 1.0)), OPEN, "a factor of two"),
        (
            {"parameters": {"alpha_B": estimate(0.2, 0.05)},
             "by_size": {"status": "refused", "reason": {"code": "x", "message": "one size"}, "sizes": []}},
            OPEN, "one size",
        ),
    ],
)  # fmt: skip
def test_the_critical_batch_is_judged_by_what_differs_between_sizes(
    tmp_path: Path, document: dict[str, Any], verdict: str, words: str
) -> None:
    claim = judged(tmp_path, critical_batch=document)[8]
    assert claim["verdict"] == verdict
    assert re.search(words, claim["why"])


def test_shapes_are_compared_within_a_factor_of_forty(tmp_path: Path) -> None:
    increase = [estimate(value, 0.1) for value in (14.0, 2.0, 0.5, 0.0)]
    assert largest_in_window([1.0, 5.0, 20.0, 60.0], increase, 40.0)["value"] == 2.0
    panel = {"axis": "aspect_ratio", "label": "aspect", "values": [1.0, 5.0, 20.0, 60.0], "increase_percent": increase}
    claims = judged(tmp_path, shape={"panels": [panel]})
    assert claims[1]["verdict"] == HOLDS


def test_both_readings_of_the_paper_are_computed() -> None:
    readings = {row["quantity"]: {r["source"]: r["value"] for r in row["readings"]} for row in paper_readings()}
    assert readings["exponent of N in the data needed"]["Table 2"] == pytest.approx(0.7379, abs=1e-4)
    assert readings["exponent of L(C_min)"]["Eq B.7 with alpha_N = 0.077"] == pytest.approx(0.05245, abs=1e-5)
    assert readings["L(C_min) at one PF-day, nats"]["Figure 13"] == pytest.approx(2.6187, abs=1e-4)
    assert readings["compute of the contradiction, PF-days"]["Eq 6.7"] == pytest.approx(1.064e5, rel=1e-3)

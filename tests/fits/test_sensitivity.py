"""The decision under other choices: what was planted is found, counts move it, and a spoilt run is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.sensitivity import run_sensitivity
from scaling_lab.fits.study_plan import ranges_of
from scaling_lab.science.laws import LAWS
from scaling_lab.science.projection import fit_projected

Rows = list[dict[str, Any]]
Write = Callable[[Rows], Path]
OPTIONS = FitOptions(bootstrap=20)
KINDS = ("exact", "departed")


def vary(runs: Path, basis: str | None = "hoffmann", options: FitOptions = OPTIONS) -> dict[str, Any]:
    """sensitivity.json of a table, for a plan that rests on `basis`."""
    plan = runs.with_name("plan.json")
    conventions = {"params": {"column": "params_non_embedding"}}
    plan.write_text(json.dumps({"basis": basis, "conventions": conventions, "budgets": [{"flops": 1e14}]}))
    run_sensitivity(runs, plan, runs.with_name("sensitivity.json"), options)
    document: dict[str, Any] = json.loads(runs.with_name("sensitivity.json").read_text())
    return document


@pytest.fixture
def found(rows: Rows, write_runs: Write) -> dict[str, Any]:
    return vary(write_runs(rows))


def rows_of(document: dict[str, Any], group: str) -> dict[str, dict[str, Any]]:
    return {row["choice"]: row for row in document["rows"] if row["group"] == group}


def test_the_choices_as_made_give_the_decision_as_made(found: dict[str, Any]) -> None:
    base = found["base"]
    for group, choice in (
        ("objective", "huber, delta 0.001"),
        ("count of N", "params_non_embedding"),
        ("count of FLOPs", "matmul"),
    ):
        row = rows_of(found, group)[choice]
        for name, value in base.items():
            assert row[name] == pytest.approx(value, rel=1e-5), (group, name)


def test_counting_changes_the_exponent_as_it_must(found: dict[str, Any], rows: Rows) -> None:
    """papers.md E.7: where a token costs 6 N, a is beta / (alpha + beta); N with embeddings grows more slowly."""
    variables = {"N": np.array([float(row["params_non_embedding"]) for row in rows])}
    variables["D"] = np.array([float(row["tokens"]) for row in rows])
    loss = np.array([row["test_loss_nats"] for row in rows])
    closed_form = fit_projected(LAWS["hoffmann"], variables, loss).derived["a"]
    flops = rows_of(found, "count of FLOPs")
    assert flops["6n"]["a"] == pytest.approx(closed_form, abs=1e-4)
    assert abs(flops["matmul"]["a"] - closed_form) > 1e-3
    counts = rows_of(found, "count of N")
    assert counts["params_total"]["a"] < counts["params_non_embedding"]["a"]
    largest = max(row["params_non_embedding"] for row in rows)
    assert all(largest / 10 < row["params"] < 100 * largest for row in counts.values())
    assert found["isoflop"]["params_total"]["a"] < found["isoflop"]["params_non_embedding"]["a"]


def test_runs_left_out_are_named_and_ranges_hold_every_row(found: dict[str, Any], rows: Rows) -> None:
    cheapest = rows_of(found, "cheapest runs")["without the cheapest 10%"]["left_out"]
    costs = {row["run"]: row["flops_matmul"] for row in rows}
    assert max(costs[run] for run in cheapest) <= min(c for run, c in costs.items() if run not in cheapest)
    for group, ranges in found["spread"].items():
        for name, span in ranges.items():
            values = [row[name] for row in rows_of(found, group).values() if row["status"] == "ok"]
            assert (span["low"], span["high"]) == (min(values), max(values))


def test_a_spoilt_run_is_the_most_influential(rows: Rows, write_runs: Write) -> None:
    spoilt = max(rows, key=lambda row: row["flops_matmul"])
    spoilt["test_loss_nats"] *= 1.1
    squares = FitOptions(bootstrap=20, objective="squares")
    document = vary(write_runs(rows), options=squares)
    first = document["influential"][0]
    assert first["run"] == spoilt["run"]
    without = rows_of(document, "outliers")["without the 1 most influential"]
    assert without["left_out"] == [spoilt["run"]]
    for name in ("a", "params", "tokens", "loss"):
        assert first[name] == pytest.approx(without[name], rel=1e-3)
    assert len(document["influential"]) == 5


def test_a_law_that_other_choices_do_not_identify_is_refused_in_its_row(rows: Rows, write_runs: Write) -> None:
    """Of a study that is one profile and a half, some choices leave too little."""
    few = [row for row in rows if row["d_model"] in (8, 12, 16)][:7]
    document = vary(write_runs(few), "kaplan")
    refused = [row for row in document["rows"] if row["status"] == "refused"]
    assert all(row["reason"]["code"] and row["params"] is None for row in refused)
    assert all(np.isfinite(row["params"]) for row in document["rows"] if row["status"] == "ok")
    assert document["isoflop"]["params_total"]["reason"]["code"] == "too_few_points"


def test_a_plan_without_a_law_has_nothing_to_vary(rows: Rows, write_runs: Write) -> None:
    document = vary(write_runs(rows), "isoflop")
    assert document["status"] == "refused"
    assert "no law of L(N, D)" in document["reason"]["message"]
    assert document["rows"] == document["influential"] == []
    assert document["isoflop"]["params_non_embedding"]["status"] == "ok"


def test_intervals_of_an_exact_law_stand_beside_those_of_one_that_losses_depart_from(found: dict[str, Any]) -> None:
    departure = found["departure"]
    exact, departed = (departure[kind]["params"] for kind in ("exact", "departed"))
    width = {kind: np.log(departure[kind]["params"]["high"] / departure[kind]["params"]["low"]) for kind in KINDS}
    assert departure["widening"] == pytest.approx(width["departed"] / width["exact"])
    assert departure["widening"] > 1.2
    assert exact["low"] < found["base"]["params"] < exact["high"]
    labels = list(ranges_of(found))
    assert labels[0] == "the law is exact, 90% interval"
    assert labels[1].startswith("losses depart from it by ")
    assert ranges_of(found)[labels[1]]["params"] == departed
    assert labels[2:] == list(found["spread"])


def test_a_study_that_takes_its_law_for_exact_compares_nothing(rows: Rows, write_runs: Write) -> None:
    document = vary(write_runs(rows), options=FitOptions(bootstrap=20, departure=0))
    assert document["departure"] is None
    assert ranges_of(document) == document["spread"]

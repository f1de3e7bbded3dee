"""Envelope, over-long cosines, corrections, repeated data and the held-out budget, on planted runs of real studies."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fits.planted_reconciliation import LAW, R_D, R_N, Planted, experiment, write_study

from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.stage import run_fit
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.shapes import ShapeFamily

OPTIONS = FitOptions(bootstrap=60)


def fit(name: str, study: str, folder: Path, planted: Planted | None = None, **changes: Any) -> dict[str, Any]:
    runs, curves = write_study(study, folder, planted, **changes)
    run_fit(name, runs, curves, folder, OPTIONS)
    document: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return document


def inside(entry: dict[str, Any], truth: float, slack: float = 0.0) -> bool:
    return bool(entry["interval"]["low"] - slack <= truth <= entry["interval"]["high"] + slack)


def planted_slope(flops: list[float], params: Any, convention: Any) -> float:
    """a of the planted law over `flops`, N and C counted so."""
    shapes = [spec.architecture.shape for spec in experiment().study_runs["corrections"].values()]
    family = ShapeFamily(shapes, params, convention)

    def loss(size: Any, tokens: Any, **law: float) -> Any:
        inner = family.non_embedding(size)
        return law["E"] + law["A"] / inner ** law["alpha"] + law["B"] / tokens ** law["beta"]

    best = numerical_optimum(LAW, np.array(flops), family.flops_per_token, family.params_range, loss)
    return float(fit_power_line(np.array(flops), best.params)[0])


def test_the_envelope_of_horizons_finds_the_planted_exponent(tmp_path: Path) -> None:
    found = fit("envelope", "horizons_cosine", tmp_path)
    assert found["status"] == "ok"
    assert found["diagnostics"]["sizes"] >= 3
    truth = planted_slope(np.geomspace(3e10, 5e11, 9).tolist(), "params_non_embedding", "matmul")
    assert found["parameters"]["a"]["value"] == pytest.approx(truth, abs=0.15)


def test_an_envelope_of_cosines_that_were_not_matched_is_refused(tmp_path: Path) -> None:
    found = fit("envelope", "horizons_cosine", tmp_path, schedule_completed=0.5)
    assert found["reason"]["code"] == "too_few_points"
    assert "mid-schedule" in found["reason"]["message"]


def test_overlong_cosines_cost_what_was_planted(tmp_path: Path) -> None:
    found = fit("overshoot", "cosine_overshoot", tmp_path)
    rows = {row["period"]: row for row in found["periods"]}
    assert list(rows) == [1.1, 1.25, 1.5, 2.0, 5.0]
    for period, row in rows.items():
        left = 0.5 * (1 + np.cos(np.pi / period))  # of the peak rate, at the end of the run
        assert row["pairs"] == 2
        assert row["excess"]["value"] == pytest.approx(0.06 * left, abs=0.004)
    assert rows[5.0]["excess"]["interval"]["low"] > 0


def test_without_a_matched_run_overshoot_is_refused(tmp_path: Path) -> None:
    found = fit("overshoot", "cosine_overshoot", tmp_path, schedule_completed=0.8)
    assert found["reason"]["code"] == "too_few_points"


def test_every_correction_moves_the_exponent_as_planted(tmp_path: Path) -> None:
    found = fit("corrections", "corrections", tmp_path, Planted(noise=0.0005))
    rungs = {rung["name"]: rung for rung in found["rungs"]}
    assert list(rungs) == ["kaplan", "head_flops", "head_params", "warmup", "decay", "tuned"]
    assert all(rung["status"] == "ok" for rung in rungs.values()), rungs
    slopes = {name: rung["a"]["value"] for name, rung in rungs.items()}
    last = rungs["tuned"]
    truth = planted_slope(last["flops"], "params_with_head", "head")
    assert inside(last["a"], truth, 0.03), (slopes, truth)
    assert slopes["head_params"] < slopes["head_flops"]  # the head is a larger share of small models
    assert [shift["to"] for shift in found["shifts"]] == list(rungs)[1:]
    moved = sum(shift["value"] for shift in found["shifts"])
    assert moved == pytest.approx(slopes["tuned"] - slopes["kaplan"])


def test_a_ladder_without_its_first_rung_is_refused(tmp_path: Path) -> None:
    found = fit("corrections", "corrections", tmp_path, warmup_tokens=1024)
    assert found["reason"] == {
        "code": "too_few_points",
        "message": "no run is of the rung long warmup: see config/studies/corrections.yaml",
    }


def test_repeated_tokens_are_worth_what_was_planted(tmp_path: Path) -> None:
    found = fit("data_limits", "data_limits", tmp_path, Planted(noise=0.0005, peak=0.0))
    assert found["status"] == "ok", found["reason"]
    assert found["repeated_runs"] == 23
    assert found["parameters"]["R_D"]["value"] == pytest.approx(R_D, rel=0.25)
    assert found["parameters"]["R_N"]["value"] == pytest.approx(R_N, rel=0.5)
    scatter = {form["form"]: form.get("residual_sd_log_repeated") for form in found["forms"]}
    assert scatter["data-constrained"] < min(value for name, value in scatter.items() if name != "data-constrained")
    limits = sorted({plan["unique_tokens"] for plan in found["plans"]})
    assert limits == [45_056, 225_024]
    for limit in limits:
        epochs = [plan["epochs"]["value"] for plan in found["plans"] if plan["unique_tokens"] == limit]
        assert epochs == sorted(epochs)
    few, many = (next(p for p in found["plans"] if p["unique_tokens"] == limit) for limit in limits)
    assert few["loss"]["value"] > many["loss"]["value"]


def test_where_excess_parameters_lose_nothing_r_n_is_left_out(tmp_path: Path) -> None:
    found = fit("data_limits", "data_limits", tmp_path, Planted(noise=0.0005, peak=0.0, R_N=1e6))
    assert found["status"] == "ok", found["reason"]
    assert found["parameters"]["R_D"]["value"] == pytest.approx(R_D, rel=0.25)
    assert found["parameters"]["R_N"]["interval"] is None
    assert any(note.startswith("R_N* is not identified") for note in found["diagnostics"]["warnings"])


def test_runs_that_overfit_are_left_out_by_name(tmp_path: Path) -> None:
    runs, curves = write_study("data_limits", tmp_path)
    table = pq.read_table(runs).to_pylist()
    worst = max((row for row in table if row["tokens"] > row["unique_tokens"]), key=lambda row: row["tokens"])
    worst["test_loss_nats"] += 1
    pq.write_table(pa.Table.from_pylist(table), runs)
    run_fit("data_limits", runs, curves, tmp_path, OPTIONS)
    found = json.loads((tmp_path / "data_limits.json").read_text())
    dropped = next(entry for entry in found["filters"] if entry["name"] == "overfitted")["dropped"]
    assert [row["run"] for row in dropped] == [worst["run"]]


def test_the_held_out_budget_is_predicted_and_the_right_model_wins(tmp_path: Path) -> None:
    found = fit("head_to_head", "head_to_head", tmp_path, Planted(noise=0.0005, peak=0.0))
    assert found["times_the_largest_below"] == pytest.approx(4, rel=0.01)
    assert len(found["trained"]) == 3
    law = next(entry for entry in found["predictions"] if entry["law"] == "hoffmann")
    assert all(run["intervals"][-1]["inside"] for run in law["runs"])
    assert {pick["rule"] for pick in found["picks"]} >= {"isoflop_parabola", "variable_projection", "kaplan"}
    best = min(found["trained"], key=lambda row: row["loss"])
    pick = next(pick for pick in found["picks"] if pick["rule"] == "variable_projection")
    assert pick["trained_params"] == best["params"]
    assert pick["above_the_best"] == 0


def test_the_sweeps_give_the_planted_rule_and_every_cell_its_distance_from_it(tmp_path: Path) -> None:
    found = fit("tuning", "tuning", tmp_path, Planted(noise=0.0002, rate=0.02))
    assert found["status"] == "ok", found["reason"]
    assert found["parameters"]["c"]["value"] == pytest.approx(0.25, rel=0.1)
    assert found["parameters"]["q"]["value"] == pytest.approx(0.3, abs=0.01)
    points = pq.read_table(tmp_path / "tuning.points.parquet").to_pydict()
    sizes = np.array(points["N"])
    # The recipe's rate is 0.19 N^-0.32.
    assert np.array(points["factor"]) == pytest.approx(0.76 * sizes**-0.02, rel=0.05)
    assert np.array(points["excess"]) == pytest.approx(0.02 * np.log(0.76 * sizes**-0.02) ** 2, rel=0.35)
    assert found["cells"]["cells"] == len(sizes)
    assert {rule["rule"] for rule in found["rules"]} == {"kaplan", "deepseek", "step", "porian", "olmo"}
    by_hand = 0.003239 - 0.0001395 * np.log(768)
    assert next(rule for rule in found["rules"] if rule["rule"] == "kaplan")["rate"][0] == pytest.approx(by_hand)


def test_without_sweeps_no_cell_has_a_distance(tmp_path: Path) -> None:
    found = fit("tuning", "isoflop", tmp_path)
    assert found["status"] == "refused"
    assert found["reason"]["code"] == "too_few_points"


LSTM = {"architecture": "lstm", "n_head": None}


class TestWithoutTransformers:
    """A study of LSTMs alone has no shapes that a plan could continue."""

    def test_repetition_is_fitted_and_its_plans_are_refused(self, tmp_path: Path) -> None:
        found = fit("data_limits", "data_limits", tmp_path, Planted(noise=0.0005, peak=0.0), **LSTM)
        assert found["status"] == "ok", found["reason"]
        assert found["parameters"]["R_D"]["value"] == pytest.approx(R_D, rel=0.25)
        assert found["plans"] == []
        assert found["plans_refused"]["code"] == "no_transformers"
        assert any("only runs of lstm" in note for note in found["diagnostics"]["warnings"])

    def test_head_to_head_is_refused(self, tmp_path: Path) -> None:
        found = fit("head_to_head", "head_to_head", tmp_path, Planted(noise=0.0005, peak=0.0), **LSTM)
        assert found["reason"]["code"] == "no_transformers"

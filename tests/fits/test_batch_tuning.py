"""A scan of batches, planted: the rule of the best batch comes back, and cells and published rules are held to it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.fits.planted_batches import P, R, best_batch, write_scan

from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.stage import run_fit
from scaling_lab.spec import RunSpec


def fitted(folder: Path, keep: Callable[[RunSpec], bool] = lambda spec: True) -> dict[str, Any]:
    runs, curves = write_scan(folder, keep)
    run_fit("batch_tuning", runs, curves, folder, FitOptions(bootstrap=60))
    document: dict[str, Any] = json.loads((folder / "batch_tuning.json").read_text())
    return document


def test_the_rule_of_the_best_batch_is_the_planted_one(tmp_path: Path) -> None:
    found = fitted(tmp_path)
    assert found["status"] == "ok", found["reason"]
    parameters = found["parameters"]
    assert parameters["beta_D"]["value"] == pytest.approx(P, abs=0.1)
    assert parameters["beta_N"]["value"] == pytest.approx(R, abs=0.06)
    middle = best_batch(found["middle"]["params_non_embedding"], np.array(found["middle"]["tokens"]))
    for name, planted in (("B_best", float(middle)), ("beta_D", P), ("beta_N", R)):
        bounds = parameters[name]["interval"]
        assert bounds["low"] <= planted <= bounds["high"], (name, parameters[name])
    assert len({sweep["params_non_embedding"] for sweep in found["sweeps"]}) == 3


def test_every_cell_and_every_published_rule_has_its_distance(tmp_path: Path) -> None:
    found = fitted(tmp_path)
    points = pq.read_table(tmp_path / "batch_tuning.points.parquet").to_pydict()
    runs = {row["run"]: row for row in pq.read_table(tmp_path / "runs.parquet").to_pylist()}
    assert found["cells"]["cells"] == len(points["run"]) > 20
    assert all(runs[run]["schedule"] != "constant" for run in points["run"])
    batch = np.array([runs[run]["batch_tokens"] for run in points["run"]])
    tokens = np.array([runs[run]["tokens"] for run in points["run"]])
    expected = batch / best_batch(np.array(points["N"]), tokens)
    assert np.array(points["factor"]) == pytest.approx(expected, rel=0.35)
    step = next(rule for rule in found["rules"] if rule["rule"] == "step")
    assert step["batch"] == pytest.approx(0.58 * np.array(step["tokens"]) ** 0.571)
    assert {rule["rule"] for rule in found["rules"]} >= {"deepseek", "porian", "olmo", "zhang"}
    assert min(step["excess"]) >= 0


def test_without_a_scan_or_with_too_few_sizes_there_is_no_rule(tmp_path: Path) -> None:
    none = fitted(tmp_path, lambda spec: spec.schedule.name != "constant")
    assert (none["status"], none["reason"]["code"]) == ("refused", "too_few_points")
    assert "constant rate" in none["reason"]["message"]
    two = fitted(tmp_path, lambda spec: spec.schedule.name != "constant" or spec.architecture.d_model != 32)
    assert "at 2 sizes; at least 3" in two["reason"]["message"]

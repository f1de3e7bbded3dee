"""One table of approaches on a planted study: the planted optimum, refusals with reasons, tables that lack a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scaling_lab.config import PlanConfig
from scaling_lab.errors import TableError
from scaling_lab.fits.approaches import run_approaches
from scaling_lab.fits.options import FitOptions
from scaling_lab.science.accounting import Shape
from scaling_lab.science.laws import hoffmann
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.shapes import ShapeFamily

Rows = list[dict[str, Any]]
Write = Callable[[Rows], Path]
OPTIONS = FitOptions(bootstrap=40)
PLAN = PlanConfig(budgets=(1e14,), budget_multiples=(10,))
SHAPE = ("n_layer", "d_model", "n_head", "d_ff", "context", "vocab_size")


def write_curves(path: Path, rows: Rows, planted: dict[str, float]) -> Path:
    """The planted loss along every run, as a schedule that is matched to it leaves it: too high before its end."""
    columns: dict[str, list[Any]] = {"run": [], "tokens": [], "progress": [], "train_loss_smoothed_nats": []}
    progress = np.geomspace(0.02, 1, 60)
    for row in rows:
        tokens = row["tokens"] * progress
        loss = hoffmann(row["params_non_embedding"], tokens, **planted) * (1 + 0.1 * (1 - progress) ** 2)
        own = ([row["run"]] * 60, tokens, progress, loss)
        for column, values in zip(columns.values(), own, strict=True):
            column.extend(values)
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def answer(rows: Rows, write_runs: Write, tmp_path: Path, planted: dict[str, float]) -> dict[str, Any]:
    run_approaches(
        write_runs(rows), write_curves(tmp_path / "curves.parquet", rows, planted), tmp_path / "a.json", OPTIONS, PLAN
    )
    document: dict[str, Any] = json.loads((tmp_path / "a.json").read_text())
    return document


def test_every_approach_answers_at_every_budget(answer: dict[str, Any], rows: Rows, planted: dict[str, float]) -> None:
    assert answer["budgets"] == [1e14, 10 * max(row["flops_matmul"] for row in rows)]
    assert list(answer["approaches"]) == [
        "envelope", "isoflop_parabola", "isoflop_recentred", "isoflop_akima", "parametric", "variable_projection",
        "kaplan",
    ]  # fmt: skip
    family = ShapeFamily([Shape(*(row[name] for name in SHAPE)) for row in rows], "params_non_embedding", "matmul")
    for name, found in answer["approaches"].items():
        assert found["status"] == "ok", (name, found["reason"])
        for flops, optimum in zip(answer["budgets"], found["optima"], strict=True):
            params, tokens = optimum["params"]["value"], optimum["tokens"]["value"]
            assert tokens * float(family.flops_per_token(params)) == pytest.approx(flops, rel=1e-6)
            assert optimum["tokens_per_param"]["value"] == pytest.approx(tokens / params)
            assert optimum["params"]["interval"]["low"] < optimum["params"]["interval"]["high"]
    truth = float(numerical_optimum(planted, 1e14, family.flops_per_token, (100, 1e10)).params)
    by_law = answer["approaches"]["variable_projection"]["optima"][0]["params"]
    assert by_law["interval"]["low"] / 1.5 < truth < by_law["interval"]["high"] * 1.5
    assert by_law["value"] == pytest.approx(
        answer["approaches"]["parametric"]["optima"][0]["params"]["value"], rel=0.01
    )


def test_what_it_was_made_from_is_written_down(answer: dict[str, Any]) -> None:
    provenance = answer["provenance"]
    assert set(provenance["tables"]) == {"runs.parquet", "curves.parquet"}
    assert provenance["options"]["plan"]["budgets"] == [1e14]
    assert answer["conventions"]["params"]["column"] == "params_non_embedding"


def test_refused_approaches_keep_their_reason(
    rows: Rows, write_runs: Write, tmp_path: Path, planted: dict[str, float]
) -> None:
    one_size = [row for row in rows if row["d_model"] == 72]
    curves = write_curves(tmp_path / "curves.parquet", one_size, planted)
    run_approaches(write_runs(one_size), curves, tmp_path / "a.json", OPTIONS, PLAN)
    found = json.loads((tmp_path / "a.json").read_text())["approaches"]
    codes = {name: answer["reason"]["code"] for name, answer in found.items()}
    assert codes == {
        "envelope": "too_few_points",
        **dict.fromkeys(("isoflop_parabola", "isoflop_recentred", "isoflop_akima"), "too_few_points"),
        **dict.fromkeys(("parametric", "variable_projection", "kaplan"), "single_value"),
    }
    assert all(answer["optima"] == [] and answer["exponents"] == {} for answer in found.values())


def test_a_run_without_a_curve_is_named(
    rows: Rows, write_runs: Write, tmp_path: Path, planted: dict[str, float]
) -> None:
    curves = write_curves(tmp_path / "curves.parquet", rows[1:], planted)
    with pytest.raises(TableError, match=f"no curve of run {rows[0]['run']}"):
        run_approaches(write_runs(rows), curves, tmp_path / "a.json", OPTIONS, PLAN)
    pq.write_table(pa.table({"run": ["x"]}), curves)
    with pytest.raises(TableError, match=r"curves\.parquet: not a readable table with run, tokens, progress"):
        run_approaches(write_runs(rows), curves, tmp_path / "a.json", OPTIONS, PLAN)
    assert not (tmp_path / "a.json").exists()


def test_curves_in_the_middle_of_a_schedule_are_no_envelope(
    rows: Rows, write_runs: Write, tmp_path: Path, planted: dict[str, float]
) -> None:
    """Runs of a constant rate, and of a cosine of twice their length: no point of them is an end."""
    curves = write_curves(tmp_path / "curves.parquet", rows, planted)
    for completed in (0.0, 0.5):
        run_approaches(
            write_runs([row | {"schedule_completed": completed} for row in rows]), curves, tmp_path / "a.json",
            OPTIONS, PLAN,
        )  # fmt: skip
        refused = json.loads((tmp_path / "a.json").read_text())["approaches"]["envelope"]
        assert refused["reason"]["code"] == "too_few_points"
        assert "100% of it is mid-schedule" in refused["reason"]["message"]

"""One table of approaches on a planted study: the planted optimum, refusals with reasons, tables that lack a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fits.conftest import PLANTED, study_rows

from scaling_lab.config import PlanConfig
from scaling_lab.errors import TableError
from scaling_lab.fits.approaches import run_approaches
from scaling_lab.fits.assumptions import broken_assumptions, shared_grid
from scaling_lab.fits.curves import read_curves
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.readings import Reading, own_reading
from scaling_lab.fits.table import read_runs
from scaling_lab.science.accounting import Shape
from scaling_lab.science.allocation import Approaches
from scaling_lab.science.approaches import NAMES, budget_profiles
from scaling_lab.science.isoflop import TokenCost
from scaling_lab.science.laws import hoffmann
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.runs import Runs
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


@pytest.fixture(scope="module")
def answer(study_table: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("approaches")
    run_approaches(
        study_table(folder), write_curves(folder / "curves.parquet", study_rows(), PLANTED), folder / "a.json", OPTIONS,
        PLAN,
    )  # fmt: skip
    document: dict[str, Any] = json.loads((folder / "a.json").read_text())
    return document


def test_a_study_of_lstms_alone_is_refused_by_every_approach(rows: Rows, write_runs: Write, tmp_path: Path) -> None:
    runs = write_runs([row | {"architecture": "lstm", "n_head": None} for row in rows])
    curves = write_curves(tmp_path / "curves.parquet", rows, PLANTED)
    run_approaches(runs, curves, tmp_path / "a.json", OPTIONS, PLAN)
    found = json.loads((tmp_path / "a.json").read_text())
    assert list(found["approaches"]) == list(NAMES)
    assert {answer["reason"]["code"] for answer in found["approaches"].values()} == {"no_transformers"}
    assert found["budgets"][0] == 1e14
    assert found["disagreements"] == found["by_convention"] == found["explanations"] == []


def test_every_approach_answers_at_every_budget(answer: dict[str, Any], rows: Rows, planted: dict[str, float]) -> None:
    assert answer["budgets"] == [1e14, 10 * max(row["flops_matmul"] for row in rows)]
    assert list(answer["approaches"]) == list(NAMES)
    family = ShapeFamily([Shape(*(row[name] for name in SHAPE)) for row in rows], "params_non_embedding", "matmul")
    for name, found in answer["approaches"].items():
        assert found["status"] == "ok", (name, found["reason"])
        for flops, optimum in zip(answer["budgets"], found["optima"], strict=True):
            params, tokens = optimum["params"]["value"], optimum["tokens"]["value"]
            assert tokens * float(family.flops_per_token(params)) == pytest.approx(flops, rel=1e-6)
            assert optimum["tokens_per_param"]["value"] == pytest.approx(tokens / params)
            assert optimum["params"]["interval"]["low"] < optimum["params"]["interval"]["high"]
            assert width(optimum["params"], "interval_departed") > 0.9 * width(optimum["params"], "interval")
    truth = float(numerical_optimum(planted, 1e14, family.flops_per_token, (100, 1e10)).params)
    by_law = answer["approaches"]["variable_projection"]["optima"][0]["params"]
    assert by_law["interval"]["low"] / 1.5 < truth < by_law["interval"]["high"] * 1.5
    assert by_law["value"] == pytest.approx(
        answer["approaches"]["parametric"]["optima"][0]["params"]["value"], rel=0.01
    )


def width(estimate: dict[str, Any], kind: str) -> float:
    return float(np.log(estimate[kind]["high"] / estimate[kind]["low"]))


@pytest.mark.parametrize("name", ["isoflop_parabola", "variable_projection", "kaplan"])
def test_a_departure_widens_what_every_approach_decides(answer: dict[str, Any], name: str) -> None:
    for optimum in answer["approaches"][name]["optima"]:
        assert width(optimum["params"], "interval_departed") > 1.2 * width(optimum["params"], "interval")


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
        **dict.fromkeys(("parametric", "variable_projection", "kaplan", "kaplan_steps"), "single_value"),
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


def reading(rows: Rows, write_runs: Write, tmp_path: Path, planted: dict[str, float]) -> Reading:
    table = read_runs(write_runs(rows))
    curves = read_curves(write_curves(tmp_path / "curves.parquet", rows, planted), table, OPTIONS)
    return own_reading(table, curves, OPTIONS, [1e14])


def test_curves_in_the_middle_of_a_schedule_are_no_envelope(
    rows: Rows, write_runs: Write, tmp_path: Path, planted: dict[str, float]
) -> None:
    """Runs of a constant rate, and of a cosine of twice their length: no point of them is an end."""
    for completed in (0.0, 0.5):
        own = reading([row | {"schedule_completed": completed} for row in rows], write_runs, tmp_path, planted)
        refused = own.of_curves("envelope", own.curves).refusal
        assert refused is not None
        assert refused.code == "too_few_points"
        assert "100% of it is mid-schedule" in refused.message


def test_every_pair_of_counts_is_answered_and_embeddings_move_the_exponent(answer: dict[str, Any]) -> None:
    readings = [answer, *answer["by_convention"]]
    counts = {(r["conventions"]["params"]["column"], r["conventions"]["flops"]["column"]) for r in readings}
    assert len(counts) == len(readings) == 6
    by_count = {
        (r["conventions"]["params"]["column"], r["conventions"]["flops"]["column"]): r["approaches"]["parametric"]
        for r in readings
    }
    inner = by_count["params_non_embedding", "flops_matmul"]["exponents"]["a"]["value"]
    total = by_count["params_total", "flops_matmul"]["exponents"]["a"]["value"]
    # The embedding is a larger share of small models: N* with it grows more slowly.
    assert total < inner - 0.05
    # By 6 N tokens of a small model are cheaper than they are, and budgets are what they are by that count.
    by_6n = next(r for r in readings[1:] if r["conventions"]["flops"]["column"] == "flops_6n")
    assert all(other < own for other, own in zip(by_6n["budgets"], answer["budgets"], strict=True))
    assert all(one["approaches"]["parametric"]["status"] == "ok" for one in readings)
    # Budgets equal by one count are not by another: losses are interpolated, and what has no minimum is refused.
    for one in readings:
        found = one["approaches"]["isoflop_parabola"]
        assert found["status"] == "ok" or found["reason"]["code"] in ("edge_optimum", "too_few_points")


def test_every_disagreement_is_tried_by_computation(answer: dict[str, Any]) -> None:
    explained = {(pair["first"], pair["second"]) for pair in answer["explanations"]}
    assert explained == {(pair["first"], pair["second"]) for pair in answer["disagreements"]}
    for pair in answer["explanations"]:
        assert all(trial["computation"] for trial in pair["trials"])
        causes = [trial["cause"] for trial in pair["trials"]]
        assert set(causes[:-1]) <= {"grid", "offset", "schedule", "convention"}
        assert causes[-1] == "departure"


def test_broken_schedules_and_long_warmups_are_told(
    answer: dict[str, Any], rows: Rows, write_runs: Write, tmp_path: Path, planted: dict[str, float]
) -> None:
    told = " ".join(answer["warnings"])
    assert "schedule" not in told
    assert "warm up" not in told
    broken = [row | {"schedule_completed": 0.5, "warmup_tokens": 0.4 * row["tokens"]} for row in rows]
    own = reading(broken, write_runs, tmp_path, planted)
    nothing = Approaches(own.question.budgets, 0.9, {})
    schedules, warmups, *_ = broken_assumptions(read_runs(tmp_path / "runs.parquet"), own, nothing, [])
    assert schedules.startswith(f"{len(rows)} of {len(rows)} runs end before their schedule does")
    assert warmups.startswith(f"{len(rows)} of {len(rows)} runs warm up for more than 20% of their tokens")


def test_embeddings_counted_or_not_and_a_shared_grid_are_told(answer: dict[str, Any]) -> None:
    (counts,) = [note for note in answer["warnings"] if note.startswith("a hangs on what is counted")]
    assert "compare only exponents by Non-embedding parameters" in counts
    law = {"E": 1.7, "A": 400.0, "B": 400.0, "alpha": 0.5, "beta": 0.2}  # a lopsided valley: papers.md E.9
    sizes, budgets = np.geomspace(1e4, 1e6, 12), np.geomspace(1e13, 1e15, 6)
    n, c = (grid.ravel() for grid in np.meshgrid(sizes, budgets, indexing="ij"))
    runs = Runs(n, c / (6 * n), c, np.asarray(hoffmann(n, c / (6 * n), **law)))
    cost = TokenCost(np.array([1e3, 1e9]), np.array([6e3, 6e9]))
    profiles = [p for p in budget_profiles(runs, cost) if p.vertex is not None]
    (shared,) = shared_grid(profiles, cost, runs)
    assert shared.startswith("the IsoFLOP budgets share one grid of sizes (its middle grows as C^0.00")
    assert "shifts a by +0.067" in shared

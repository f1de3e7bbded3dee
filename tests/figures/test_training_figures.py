"""The figures of training curves, batch and compute, on a small ladder and batch scan drawn from the paper's laws."""

import csv
from pathlib import Path

import numpy as np
import pytest

from scaling_lab.config import StudyConfig
from scaling_lab.dry_run import read_configuration
from scaling_lab.experiment import load_experiment
from scaling_lab.figures.draw import draw_figure
from scaling_lab.figures.inputs import StudyData
from scaling_lab.fits.backtest import run_backtest
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.stage import run_fit
from scaling_lab.grid import expand_study
from scaling_lab.overrides import study_settings
from scaling_lab.science.published import PUBLISHED
from scaling_lab.simulator.run import simulate
from scaling_lab.spec import canonical_json
from scaling_lab.tables import collect

REPOSITORY = Path(__file__).parents[2]
OPTIONS = FitOptions(bootstrap=24, flops_convention="6n")
SIZES = [[2, 64], [2, 128], [6, 128], [4, 256], [6, 384], [8, 512], [12, 768]]
SCAN = {
    "shapes": [[4, 256], [12, 768]],
    "tokens": [10_000_000_000],
    "vary": {
        "batch.exponent": [0],
        "batch.coefficient": [2**k for k in range(16, 22)],
        "schedule.name": ["constant"],
        "schedule.warmup_tokens": [157_286_400],
    },
}
SERIES = {"shapes": [[12, 768]], "tokens": [2**k * 150_000_000 for k in range(5)]}
LADDER = {"shapes": SIZES, "tokens": [22_000_000_000]}
BARE = {
    "shapes": [[0, 128]],
    "tokens": [22_000_000_000],
    "vary": {"learning_rate.rule": ["power"], "learning_rate.params_exponent": [0]},
}
FITS = (
    "params",
    "tokens",
    "critical_batch",
    "training_law",
    "compute_min",
    "frontier",
    "sample_efficiency",
    "depth_series",
)
FIGURES = (
    "compute_frontier", "optimal_scaling", "allocation_stack", "wrong_sizes", "contradiction", "critical_batch",
    "batch_hyperbolas", "training_law", "depth_series", "functional_forms", "sample_efficiency",
)  # fmt: skip


def build(folder: Path, name: str, grid: list[object]) -> None:
    overlays = [REPOSITORY / "config" / f"{overlay}.yaml" for overlay in ("kaplan2020", "planted")]
    raw = read_configuration(REPOSITORY, overlays) | {"studies": ["data_size"]}
    config = load_experiment(raw, REPOSITORY / "config" / "studies").config
    question = "Do the figures show what was planted?"
    study = StudyConfig.model_validate({"question": question, "grid": grid, "fits": FITS, "figures": FIGURES})
    specs = expand_study(name, study, study_settings(study, config, name))
    for run, spec in specs.items():
        (folder / "runs" / run).mkdir(parents=True, exist_ok=True)
        (folder / "runs" / run / "spec.json").write_text(canonical_json(spec))
        simulate(spec, folder / "runs" / run)
    runs, curves = (folder / "tables" / name / f"{table}.parquet" for table in ("runs", "curves"))
    collect(list(specs), folder / "runs", runs, curves)
    for fit in FITS:
        run_fit(fit, runs, curves, folder / "fits" / name, OPTIONS)
    run_backtest(runs, folder / "plans" / name / "backtest.json", OPTIONS)
    for figure in FIGURES:
        draw_figure(figure, name, folder, folder / "figures" / name / f"{figure}.svg")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    build(folder, "planted", [LADDER, SERIES, SCAN, BARE])
    build(folder, "poor", [{**LADDER, "shapes": SIZES[:2]}])
    return folder


def rows_of(folder: Path, name: str, study: str = "planted") -> list[dict[str, str]]:
    with (folder / "figures" / study / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(rows: list[dict[str, str]], column: str) -> np.ndarray:
    return np.array([float(row[column]) for row in rows])


@pytest.mark.parametrize("name", FIGURES)
def test_each_is_drawn_whole_and_says_what_was_refused(drawn: Path, name: str) -> None:
    whole = (drawn / "figures" / "planted" / f"{name}.svg").read_text("utf-8")
    assert "SIMULATED" in whole
    assert "refused" not in whole or name == "functional_forms"  # a power law leaves no room for a constant
    assert rows_of(drawn, name)
    poor = (drawn / "figures" / "poor" / f"{name}.svg").read_text("utf-8")
    assert any(word in poor for word in ("refused", "no loss is reached", "no batch scan", "no critical batch"))


def test_wrong_sizes_cost_nothing_at_the_best_one(drawn: Path) -> None:
    rows = [row for row in rows_of(drawn, "wrong_sizes") if row["series"] == "ours"]
    nearest = min(rows, key=lambda row: abs(np.log(float(row["size_ratio"]))))
    assert float(nearest["cost"]) == pytest.approx(1, abs=0.02)
    compute = [row for row in rows if row["panel"] == "excess compute"]
    assert numbers(compute, "cost").min() == pytest.approx(1, abs=1e-3)


def test_the_critical_batch_is_drawn_as_measured(drawn: Path) -> None:
    rows = rows_of(drawn, "critical_batch")
    published = [row for row in rows if row["series"] == "published"]
    law = PUBLISHED["kaplan_batch"].values
    expected = law["B_star"] / numbers(published, "loss") ** (1 / law["alpha_B"])
    np.testing.assert_allclose(numbers(published, "batch_tokens"), expected, rtol=1e-9)
    noise = [row for row in rows if row["series"].startswith("gradient noise")]
    np.testing.assert_allclose(
        numbers(noise, "batch_tokens"), law["B_star"] / numbers(noise, "loss") ** (1 / law["alpha_B"]), rtol=0.1
    )


def test_hyperbolas_pass_by_their_points(drawn: Path) -> None:
    rows = rows_of(drawn, "batch_hyperbolas")
    points = [row for row in rows if "hyperbola" not in row["series"]]
    np.testing.assert_allclose(
        numbers(points, "tokens"), numbers(points, "steps") * numbers(points, "batch"), rtol=1e-9
    )
    assert {row["panel"] for row in rows} == {"N = 3.14573e+06", "N = 8.49347e+07"}


def test_the_frontier_lies_below_all_curves(drawn: Path) -> None:
    rows = [row for row in rows_of(drawn, "compute_frontier") if row["panel"] == "naive"]
    envelope = [row for row in rows if row["series"] == "envelope"]
    curves = [row for row in rows if row["series"].startswith("training curve")]
    flops, loss = numbers(envelope, "flops"), numbers(envelope, "loss")
    at, seen = numbers(curves, "flops"), numbers(curves, "loss")
    inside = (at >= flops.min()) & (at <= flops.max())
    below = np.interp(np.log(at[inside]), np.log(flops), loss)
    # Batches below that of the ladder spend less compute on a loss.
    assert np.mean(seen[inside] > 0.98 * below) > 0.8


def test_the_contradiction_is_where_both_lines_meet(drawn: Path) -> None:
    fit = StudyData("planted", drawn).fit("frontier")
    assert fit is not None
    found = fit.record["contradiction"]
    rows = [row for row in rows_of(drawn, "contradiction") if row["panel"] == "ours"]
    lines = {name: [row for row in rows if row["series"] == name] for name in ("L(C_min)", "L(D(C_min))")}
    for line in lines.values():
        at = np.interp(np.log(found["flops"]["value"]), np.log(numbers(line, "flops")), np.log(numbers(line, "loss")))
        assert np.exp(at) == pytest.approx(found["loss"]["value"], rel=1e-3)


def test_depths_without_layers_are_drawn_against_all_parameters_only(drawn: Path) -> None:
    rows = rows_of(drawn, "depth_series")
    panels = {row["panel"] for row in rows if row["series"] == "no layers"}
    assert panels == {"params_total"}
    forms = {row["series"] for row in rows_of(drawn, "functional_forms")}
    assert {"runs", "power law", "logarithm"} <= forms

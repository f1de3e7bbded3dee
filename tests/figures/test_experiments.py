"""Every figure of an experiment is drawn from the tables and fits of the study that it belongs to, with its numbers."""

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.fits.planted_batches import write_scan
from tests.fits.planted_studies import noise_of, write_study

from scaling_lab.figures.draw import draw_figure
from scaling_lab.fits.backtest import run_backtest
from scaling_lab.fits.noise import run_noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.stage import run_fit
from scaling_lab.science.laws import kaplan
from scaling_lab.spec import RunSpec

PANELS_OF_SHAPE = {"feed_forward_ratio", "aspect_ratio", "head_dimension"}
OPTIONS = FitOptions(bootstrap=20)
LAW = {"Nc": 6e8, "Dc": 6e8, "alpha_N": 0.12, "alpha_D": 0.2}


def loss(spec: RunSpec) -> float:
    size = spec.architecture.shape.params_non_embedding
    off = np.log(spec.optimizer.learning_rate / (0.2 * size**-0.35))
    return float(kaplan(size, spec.data_tokens, **LAW)) * (1 + 0.004 * off**2) * noise_of(spec)


@pytest.mark.parametrize(
    ("study", "fit", "figures"),
    [
        ("shape", "shape", {"shape": PANELS_OF_SHAPE, "depth_transfer": {"texts"}}),
        ("learning_rate", "learning_rate", {"learning_rate": {"sweeps", "rule"}, "schedules": {"schedules"}}),
        ("lstm", "architectures", {"architectures": {"N", "excess"}, "architecture_positions": {"positions"}}),
        ("universal_transformer", "architectures", {"architectures": {"N", "reuse_N", "excess"}}),
        ("vocabulary", "datasets", {"datasets": {"loss", "bits_per_byte", "ratio"}}),
        ("transfer", "transfer", {"transfer": {"sizes", "pairs"}}),
        ("context", "context", {"context_training": {"training"}}),
        ("size_and_data", "early_stopped", {"overfitting": {"loss", "overfitting"}, "early_stopping": {"curves"}}),
    ],
)  # fmt: skip
def test_figures_show_their_panels(tmp_path: Path, study: str, fit: str, figures: dict[str, set[str]]) -> None:
    tables = tmp_path / "tables" / study
    runs = write_study(tables, study, loss, curve=lambda spec, steps: 4 + 3 / np.sqrt(steps))
    run_fit(fit, runs, runs.with_name("curves.parquet"), tmp_path / "fits" / study, OPTIONS)
    run_backtest(runs, tmp_path / "plans" / study / "backtest.json", OPTIONS)
    run_noise(runs, tmp_path / "plans" / study / "noise.json", OPTIONS)
    for figure, panels in figures.items():
        output = tmp_path / "figures" / f"{figure}.svg"
        draw_figure(figure, study, tmp_path, output)
        assert output.with_suffix(".png").stat().st_size > 10_000
        with output.with_suffix(".csv").open() as file:
            assert {row["panel"] for row in csv.DictReader(file)} == panels


def test_curves_from_before_losses_by_position_are_said_to_lack_them(tmp_path: Path) -> None:
    runs = write_study(tmp_path / "tables" / "context", "context", loss)
    curves = runs.with_name("curves.parquet")
    pq.write_table(pq.read_table(curves).drop_columns("validation_loss_by_position_nats"), curves)
    output = tmp_path / "context_training.svg"
    draw_figure("context_training", "context", tmp_path, output)
    assert "was evaluated by position" in output.read_text()
    assert output.with_suffix(".csv").read_text().count("\n") == 1  # the header


def test_the_best_batches_are_drawn_with_the_cells_and_the_published_rules(tmp_path: Path) -> None:
    tables = tmp_path / "tables" / "tuning"
    tables.mkdir(parents=True)
    runs, curves = write_scan(tables)
    run_fit("batch_tuning", runs, curves, tmp_path / "fits" / "tuning", OPTIONS)
    run_backtest(runs, tmp_path / "plans" / "tuning" / "backtest.json", OPTIONS)
    output = tmp_path / "batch_tuning.svg"
    draw_figure("batch_tuning", "tuning", tmp_path, output)
    with output.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["panel"] for row in rows} == {"sweeps", "tuning"}
    assert {"cells of the grid", "rule step", "rule zhang"} <= {row["series"] for row in rows}
    assert {row["simulated"] for row in rows} == {"True"}

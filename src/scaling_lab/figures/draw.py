"""From the files of a study to the files of a figure: svg, png and the table that was drawn."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from scaling_lab.errors import ConfigError
from scaling_lab.figures.allocation_stack import allocation_stack
from scaling_lab.figures.architecture_positions import architecture_positions
from scaling_lab.figures.architectures import architectures
from scaling_lab.figures.backtest import backtest
from scaling_lab.figures.batch_hyperbolas import batch_hyperbolas
from scaling_lab.figures.compute_frontier import compute_frontier
from scaling_lab.figures.context_positions import context_positions
from scaling_lab.figures.context_sizes import context_sizes
from scaling_lab.figures.context_training import context_training
from scaling_lab.figures.contradiction import contradiction
from scaling_lab.figures.corrections import corrections
from scaling_lab.figures.critical_batch import critical_batch
from scaling_lab.figures.data_limits import data_limits
from scaling_lab.figures.datasets import datasets
from scaling_lab.figures.depth_series import depth_series
from scaling_lab.figures.depth_transfer import depth_transfer
from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.early_stopping import early_stopping
from scaling_lab.figures.functional_forms import functional_forms
from scaling_lab.figures.head_to_head import head_to_head
from scaling_lab.figures.horizons import horizons
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.isoflop_profiles import isoflop_profiles
from scaling_lab.figures.learning_curves import learning_curves
from scaling_lab.figures.learning_rate import learning_rate
from scaling_lab.figures.optimal_allocation import optimal_allocation
from scaling_lab.figures.optimal_scaling import optimal_scaling
from scaling_lab.figures.overfitting import overfitting
from scaling_lab.figures.overshoot import overshoot
from scaling_lab.figures.power_laws import power_laws
from scaling_lab.figures.regret import regret
from scaling_lab.figures.sample_efficiency import sample_efficiency
from scaling_lab.figures.schedules import schedules
from scaling_lab.figures.shape import shape
from scaling_lab.figures.size_and_data import size_and_data
from scaling_lab.figures.style import house_style, save, watermark
from scaling_lab.figures.training_law import training_law
from scaling_lab.figures.transfer import transfer
from scaling_lab.figures.tuning import tuning
from scaling_lab.figures.wrong_sizes import wrong_sizes
from scaling_lab.files import atomic_path

FIGURES: Mapping[str, Callable[[StudyData], Drawing]] = {
    "power_laws": power_laws,
    "learning_curves": learning_curves,
    "size_and_data": size_and_data,
    "isoflop_profiles": isoflop_profiles,
    "optimal_allocation": optimal_allocation,
    "backtest": backtest,
    "compute_frontier": compute_frontier,
    "optimal_scaling": optimal_scaling,
    "allocation_stack": allocation_stack,
    "wrong_sizes": wrong_sizes,
    "contradiction": contradiction,
    "critical_batch": critical_batch,
    "batch_hyperbolas": batch_hyperbolas,
    "training_law": training_law,
    "depth_series": depth_series,
    "functional_forms": functional_forms,
    "sample_efficiency": sample_efficiency,
    "horizons": horizons,
    "overshoot": overshoot,
    "corrections": corrections,
    "data_limits": data_limits,
    "head_to_head": head_to_head,
    "tuning": tuning,
    "regret": regret,
    "overfitting": overfitting,
    "early_stopping": early_stopping,
    "shape": shape,
    "depth_transfer": depth_transfer,
    "architectures": architectures,
    "architecture_positions": architecture_positions,
    "transfer": transfer,
    "context_positions": context_positions,
    "context_sizes": context_sizes,
    "context_training": context_training,
    "learning_rate": learning_rate,
    "schedules": schedules,
    "datasets": datasets,
}
"""Every figure by name: a new one is one function and its entry here."""


def draw_figure(name: str, study: str, results: Path, output: Path) -> None:
    """Write figure `name` of a study to `output` (.svg), with .png and .csv of the same name beside it.

    Raises:
        ConfigError: no figure has that name.
        TableError: a table or fit of the study is missing.
    """
    if name not in FIGURES:
        raise ConfigError(f"figure {name!r} is not one of {', '.join(FIGURES)}")
    with house_style():
        data = StudyData(study, results)
        drawing = FIGURES[name](data)
        if data.simulated:
            drawing.rows = [row | {"simulated": True} for row in drawing.rows]
            watermark(drawing.figure, "SIMULATED")
        _write_csv(drawing, output.with_suffix(".csv"))
        save(drawing.figure, output)


def _write_csv(drawing: Drawing, path: Path) -> None:
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, drawing.columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(drawing.rows)

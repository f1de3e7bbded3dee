"""L(N, S_min): one law for the training curves of all sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.fits.critical_batch import critical_block, measure_critical_batch
from scaling_lab.fits.labels import params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, empty_draws, law_diagnostics, law_estimates, reason_of
from scaling_lab.fits.selection import Selection
from scaling_lab.fits.table import RunTable
from scaling_lab.fits.training_curves import AFTER_WARMUP, longest_of_each_size, read_training_curves
from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.critical_batch import CriticalBatch
from scaling_lab.science.fitting import FitResult
from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError
from scaling_lab.science.training_curve import TrainingCurve
from scaling_lab.science.training_law import (
    LAW,
    Critical,
    TrainingPoints,
    bootstrap_training_law,
    fit_training_law,
    training_points,
)

LATER_STARTS = (2.0, 4.0, 8.0)  # times the warmup, in whose place the law is fitted as well
NO_SCAN = "no critical batch: steps and FLOPs are those at the runs' own batch"


@dataclass(frozen=True)
class Curves:
    """The curves of the longest run of each size, and the critical batch of the study's scan, or why there is none."""

    selection: Selection
    ladder: list[TrainingCurve]
    scan: CriticalBatch | FitRefusedError
    draws: Draws | None

    @property
    def critical(self) -> Critical | None:
        """B_crit(L), or None where the study does not tell it."""
        return None if isinstance(self.scan, FitRefusedError) else self.scan.at

    def block(self, level: float) -> dict[str, Any]:
        """What the record says of the critical batch."""
        return critical_block(self.scan, self.draws, level)

    @property
    def warnings(self) -> list[str]:
        """Where B_crit is missing, or is used below every loss that it was measured at (papers.md E.20)."""
        if isinstance(self.scan, FitRefusedError):
            return [f"{NO_SCAN} ({self.scan.message})"]
        lowest, reached = float(self.scan.targets.min()), min(float(curve.loss.min()) for curve in self.ladder)
        beyond = f"B_crit is measured down to {lowest:.3g} nats and extrapolated to {reached:.3g}"
        return [beyond] if reached < 0.99 * lowest else []


def read_ladder(table: RunTable, curves_path: Path, options: FitOptions) -> Curves:
    """The ladder of sizes of a study, and the critical batch by its batch scan. Raises TableError."""
    everything, curves = read_training_curves(curves_path, table, options)
    selection, ladder = longest_of_each_size(everything, curves)
    try:
        scan, draws = measure_critical_batch(curves, options)
    except FitRefusedError as refusal:
        return Curves(selection, ladder, refusal, None)
    return Curves(selection, ladder, scan, draws)


def fit_training(table: RunTable, curves_path: Path, options: FitOptions) -> FitRecord:
    """L = (Nc / N)^alpha_N + (Sc / S_min)^alpha_S of the curves after warmup (Kaplan et al. 2020, Eq 1.6, Table 3)."""
    read = read_ladder(table, curves_path, options)
    variables = {
        "N": {"column": options.params_convention, "label": params_label(options.params_convention)},
        "S": {"column": "steps_min", "label": "Steps of an unlimited batch" if read.critical else "Steps"},
    }
    record = FitRecord("training_law", LAW.name, LAW.equation, variables, options.fitting_objective, read.selection)
    record.blocks["critical_batch"] = read.block(options.level)
    record.draws, record.points = empty_draws(LAW), _points(read, None)
    try:
        points, result, draws = fit_curves(read, options)
    except FitRefusedError as refusal:
        record.refusal = refusal
        return record
    record.parameters, record.derived = law_estimates(result, draws, options.level)
    record.objective_value = result.objective_value
    record.diagnostics = law_diagnostics(result, draws, options.level)
    record.diagnostics["warnings"] += read.warnings
    record.blocks["later_starts"] = _later_starts(table, curves_path, options, read.critical, result.theta)
    record.draws, record.points = draws.values, _points(read, result.predicted, points)
    return record


def fit_curves(read: Curves, options: FitOptions) -> tuple[TrainingPoints, FitResult, Draws]:
    """The law of the ladder with its draws. Raises FitRefusedError."""
    points = training_points(read.ladder)
    result = fit_training_law(points, read.critical, options.fitting_objective)
    return points, result, bootstrap_training_law(points, result, read.draws, options.resampling)


def _points(read: Curves, predicted: Any, points: TrainingPoints | None = None) -> dict[str, Any]:
    found = points or training_points(read.ladder)
    model = np.full(len(found.loss), np.nan) if predicted is None else predicted
    return {
        "run": [read.ladder[i].run for i in found.run],
        **found.variables(read.critical),
        "steps": found.steps,
        "batch": found.batch,
        "loss": found.loss,
        "predicted": model,
        "residual": np.log(found.loss / model),
    }


def _later_starts(
    table: RunTable, curves_path: Path, options: FitOptions, critical: Critical | None, theta: Array
) -> list[dict[str, Any]]:
    """The same law without more of the first steps: how far the exponents hang on where a curve begins."""
    rows: list[dict[str, Any]] = []
    for start in (AFTER_WARMUP, *LATER_STARTS):
        _, ladder = longest_of_each_size(*read_training_curves(curves_path, table, options, start))
        row: dict[str, Any] = {"times_warmup": start, "status": "ok", "reason": None, "parameters": {}}
        try:
            again = fit_training_law(training_points(ladder), critical, options.fitting_objective, theta[None])
            row["parameters"] = again.parameters
        except FitRefusedError as refusal:
            row |= {"status": "refused", "reason": reason_of(refusal)}
        rows.append(row)
    return rows

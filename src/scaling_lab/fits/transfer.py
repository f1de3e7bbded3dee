"""Loss on other texts against loss on the training text: Kaplan et al. 2020, section 3.2.2 and Figure 8."""

from __future__ import annotations

from typing import Any

import numpy as np

from scaling_lab.fits.experiment import Measured, add_finding, new_experiment
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.table import Mask, RunTable
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.straight import fit_line, resampled_weights

EQUATION = "loss on another text = slope * test loss + offset; the paper's claim is slope 1"
FEWEST_RUNS = 4
SOURCE = "Kaplan et al. 2020, section 3.2.2"


def fit_transfer(table: RunTable, options: FitOptions) -> FitRecord:
    """For every other text the line through all runs, the offset at slope 1, and what is left of either.

    The ladder is the runs on the most data; the path, all others: runs on less data, which are less far in training.
    Intervals are from runs drawn with replacement.
    """
    selection = status_ok(Selection(table))
    used = selection.table
    loss = used.numbers(options.loss_column)
    texts = [name for name in used.columns if name.startswith("loss_") and np.isfinite(used.floats(name)).all()]
    tokens = groups_of(used.numbers("tokens"))
    ladder = np.asarray(tokens == tokens.max())
    variables = {"X": (options.loss_column, "Loss on the training text, nats per token")}
    points: dict[str, Any] = {"X": loss, "ladder": ladder, "N": used.numbers("params_non_embedding")}
    record = new_experiment("transfer", EQUATION, selection, variables, points)
    record.points |= {name: used.numbers(name) for name in texts}
    try:
        _require(texts, loss, table)
        record.blocks["texts"] = {name: _text(record, name, loss, ladder, options) for name in texts}
    except FitRefusedError as refusal:
        record.refusal = refusal
    return record


def _require(texts: list[str], loss: Array, table: RunTable) -> None:
    if not texts:
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{table.path}: no run is evaluated on another text")
    if len(loss) < FEWEST_RUNS:
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{len(loss)} runs; at least {FEWEST_RUNS} for a line")


def _text(record: FitRecord, column: str, loss: Array, ladder: Mask, options: FitOptions) -> dict[str, Any]:
    """One text: slope, offset, residuals of both forms, and the offset of path less that of ladder."""
    name = column.removeprefix("loss_").removesuffix("_nats")
    other = record.points[column]
    weights = resampled_weights(len(loss), options.bootstrap, options.seed)
    line, drawn = fit_line(loss, other), fit_line(loss[None, :], other[None, :], weights)
    difference = other - loss
    offset = Measured(float(difference.mean()), weights @ difference / len(loss))
    slope = Measured(float(line.slope), drawn.slope)
    record.draws |= {f"slope_{name}": slope.draws, f"offset_{name}": offset.draws}
    record.parameters |= {
        f"slope_{name}": slope.as_json(options.level),
        f"offset_{name}": offset.as_json(options.level),
    }
    add_finding(
        record, f"{name}: slope", record.parameters[f"slope_{name}"], published=1.0, source=SOURCE
    )  # fmt: skip
    add_finding(record, f"{name}: offset at slope 1", record.parameters[f"offset_{name}"], unit="nats per token")
    phase = _phase(difference, ladder, weights)
    if phase is not None:
        add_finding(
            record, f"{name}: offset of runs on less data less that of the ladder", phase.as_json(options.level),
            unit="nats per token", published=0.0, source=SOURCE + ", no dependence on the phase of training",
        )  # fmt: skip
    return {
        "name": name, "intercept": float(line.intercept), "slope": record.parameters[f"slope_{name}"],
        "offset": record.parameters[f"offset_{name}"],
        "residual_sd_line": float(np.std(other - line(loss), ddof=2)),
        "residual_sd_slope_1": float(np.std(difference, ddof=1)),
        "phase": None if phase is None else phase.as_json(options.level),
    }  # fmt: skip


def _phase(difference: Array, ladder: Mask, weights: Array) -> Measured | None:
    """Mean offset of the path less that of the ladder; None without a path."""
    if ladder.all() or not ladder.any():
        return None
    path = ~ladder
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = (weights[:, path] @ difference[path]) / weights[:, path].sum(axis=1) - (
            weights[:, ladder] @ difference[ladder]
        ) / weights[:, ladder].sum(axis=1)
    return Measured(float(difference[path].mean() - difference[ladder].mean()), drawn)

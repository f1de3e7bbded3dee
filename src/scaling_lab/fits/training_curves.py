"""The training curves of a study's runs, as the laws of training read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scaling_lab.errors import TableError
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.selection import Selection, of_one_law
from scaling_lab.fits.table import Mask, RunTable, usable
from scaling_lab.science.laws import Array
from scaling_lab.science.training_curve import TrainingCurve

LOSS, NOISE = "train_loss_smoothed_nats", "noise_scale_tokens"
_COLUMNS = ("run", "step", "learning_rate", LOSS, NOISE)
AT_PEAK = 0.999  # of the peak rate: the end of the warmup, and of the part at a constant rate
AFTER_WARMUP = 1.1  # times the warmup: the smoothed loss looks back over 5 % of the steps
SMOOTHED_OVER = 0.05  # of the steps so far: each loss is that of the middle of its window
MINIMUM_POINTS = 5


def read_training_curves(
    path: Path, table: RunTable, options: FitOptions, after: float = AFTER_WARMUP
) -> tuple[Selection, list[TrainingCurve]]:
    """The runs that finished and go on to their horizon, and of each the curve after `after` times its warmup.

    The cooldown of a wsd schedule is left out: no law of training holds for both sides of its corner. Other schedules
    are taken as they are, as Kaplan et al. 2020 took their cosines. Runs of fewer than five points are dropped.

    Raises:
        TableError: the file or a column is missing.
    """
    selection = of_one_law(Selection(table))
    columns = _read(path)
    used = selection.table
    rows = zip(
        used.runs,
        used.numbers(options.params_convention),
        used.numbers("batch_tokens"),
        used.numbers("learning_rate"),
        used.numbers(options.flops_per_token_column),
        used.values("schedule"),
        strict=True,
    )
    curves = []
    for run, size, batch, peak, cost, schedule in rows:
        own = np.asarray(columns["run"] == run, dtype=bool)
        steps, rate, loss, noise = (columns[name][own] for name in _COLUMNS[1:])
        kept = _steady(steps, rate, schedule == "wsd", after) & usable(loss)
        middle = steps - (np.maximum(1, np.round(SMOOTHED_OVER * steps)) - 1) / 2
        curves.append(TrainingCurve(run, size, batch, peak, cost, middle[kept], loss[kept], noise[kept]))
    long = np.array([len(curve.steps) >= MINIMUM_POINTS for curve in curves])
    reasons = [f"{len(curve.steps)} points after the warmup, at least {MINIMUM_POINTS} are needed" for curve in curves]
    kept_curves = [curve for curve, enough in zip(curves, long, strict=True) if enough]
    return selection.keep("steps_after_warmup", long, reasons), kept_curves


def longest_of_each_size(selection: Selection, curves: list[TrainingCurve]) -> tuple[Selection, list[TrainingCurve]]:
    """The run of each size with the most tokens, of equals the first: the ladder, without the scan of batches."""
    longest: dict[float, TrainingCurve] = {}
    for curve in curves:
        best = longest.get(curve.params)
        if best is None or curve.tokens[-1] > best.tokens[-1]:
            longest[curve.params] = curve
    chosen = [curve for curve in curves if longest[curve.params] is curve]
    mask = np.isin(selection.table.runs, [curve.run for curve in chosen])
    return selection.keep("longest_of_each_size", mask, ["a longer run of its size is there"] * len(mask)), chosen


def _steady(steps: Array, rate: Array, constant: bool, after: float) -> Mask:
    """Which points lie after the warmup and, of a schedule with a constant part, in it."""
    at_peak = rate >= AT_PEAK * rate.max() if len(rate) else np.zeros(0, dtype=bool)
    begin = steps[at_peak].min() if at_peak.any() else np.inf
    late = steps >= (after * begin if begin > 1 else begin)
    return np.asarray(late & at_peak if constant else late, dtype=bool)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        columns = pq.read_table(path, columns=list(_COLUMNS)).to_pydict()
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise TableError(f"{path}: not a readable table with {', '.join(_COLUMNS)}: {reason}") from error
    numbers = {name: np.array(columns[name], dtype=np.float64) for name in _COLUMNS[1:]}
    return {"run": np.array(columns["run"], dtype=object), **numbers}

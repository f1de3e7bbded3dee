"""What a cosine schedule longer than the run costs: over-long runs against the matched one of their cell."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from scipy.stats import t as student

from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.table import RunTable
from scaling_lab.science.fitting import Objective
from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

EQUATION = "excess = log L(period) - log L(matched), the same model, tokens, batch, rate and seed"


def fit_overshoot(table: RunTable, options: FitOptions) -> FitRecord:
    """Excess loss by the schedule's length over the run's (Hoffmann et al. 2022, appendix B).

    The scatter of the pairs, taken together over all lengths, gives the interval (Student's t).
    """
    selection = status_ok(Selection(table))
    used = selection.table
    cosine = np.array(used.values("schedule") == "cosine", dtype=bool)
    selection = selection.keep("cosine", cosine, [f"schedule is {name}" for name in used.values("schedule")])
    used = selection.table
    variables = {"P": {"column": "schedule_completed", "label": "Schedule's length over the run's"}}
    record = FitRecord("overshoot", "overshoot", EQUATION, variables, Objective("squares"), selection)
    run, period, excess = _pairs(used, options.loss_column)
    record.points = {"run": run, "P": period, "excess": excess}
    record.diagnostics = {"n_points": len(run), "warnings": []}
    lengths = np.unique(period)
    freedom = len(period) - len(lengths)
    if freedom < 1:
        message = (
            f"{len(period)} over-long runs have a matched one, of {len(lengths)} lengths; two of one length or more"
        )
        record.refusal = FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{message} are needed")
        return record
    means = {float(length): float(excess[period == length].mean()) for length in lengths}
    scatter = float(np.sqrt(sum((e - means[float(p)]) ** 2 for p, e in zip(period, excess, strict=True)) / freedom))
    record.diagnostics |= {"scatter_log": scatter, "degrees_of_freedom": freedom}
    record.blocks["periods"] = [
        _length(length, mean, int((period == length).sum()), scatter, freedom, options.level)
        for length, mean in means.items()
    ]
    record.parameters = {f"excess at {row['period']:g}": row["excess"] for row in record.blocks["periods"]}
    return record


def _length(period: float, mean: float, pairs: int, scatter: float, freedom: int, level: float) -> dict[str, Any]:
    error = scatter / np.sqrt(pairs)
    reach = float(student.ppf((1 + level) / 2, freedom)) * error
    interval = {"level": level, "low": mean - reach, "high": mean + reach}
    return {"period": period, "pairs": pairs, "excess": {"value": mean, "se": float(error), "interval": interval}}


def _pairs(table: RunTable, loss_column: str) -> tuple[list[str], Array, Array]:
    """Over-long runs with a matched one: their ids, lengths and excess log loss."""
    keys = list(
        zip(
            table.models(), *(table.values(name) for name in ("tokens", "batch_tokens", "learning_rate", "seed")),
            strict=True,
        )
    )  # fmt: skip
    period, loss = 1 / table.numbers("schedule_completed"), np.log(table.numbers(loss_column))
    matched: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for key, length, value in zip(keys, period, loss, strict=True):
        if length < 1 + 1e-9:
            matched[key].append(float(value))
    rows = [
        (run, round(float(length), 9), float(value) - float(np.mean(matched[key])))
        for run, key, length, value in zip(table.runs, keys, period, loss, strict=True)
        if length > 1 + 1e-9 and key in matched
    ]
    return [row[0] for row in rows], np.array([row[1] for row in rows]), np.array([row[2] for row in rows])

"""Predict the most expensive runs from the cheaper ones, by every law of loss against size, data or compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.fits.compute import average_seeds
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import provenance_of, reason_of, write_json
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.single import quick_starts
from scaling_lab.fits.surface import surface_variables
from scaling_lab.fits.table import RunTable, read_runs
from scaling_lab.science.backtest import Prediction, backtest_envelope, backtest_law, most_expensive
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

RULE = "runs that cost more than half of the most expensive one"


def run_backtest(runs: Path, output: Path, options: FitOptions) -> None:
    """Write backtest.json: per law the predicted and measured loss of each held-out run, errors and coverage.

    Raises:
        TableError: the table of runs cannot be used.
    """
    table = read_runs(runs)
    selection = status_ok(Selection(table))
    used = selection.table
    held_out = most_expensive(used.numbers(options.flops_column))
    laws: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for name, test in _TESTS.items():
        try:
            prediction, indices = test(used, options)
        except FitRefusedError as refusal:
            laws[name] = {"status": "refused", "reason": reason_of(refusal)}
            continue
        laws[name] = {"status": "ok", "reason": None, **prediction_summary(prediction)}
        rows += prediction_rows(name, used.runs, _columns(used, options), prediction, indices)
    document = {
        "rule": RULE,
        "held_out": [run for run, held in zip(used.runs, held_out, strict=True) if held],
        "level": options.level,
        "laws": laws,
        "rows": rows,
        "filters": [applied.as_json() for applied in selection.filters],
        "provenance": provenance_of({runs.name: table.sha256}, options.as_json(), simulated=table.simulated),
    }
    write_json(output, document)


Indices = Any  # of the predicted runs in the table
Test = Callable[[RunTable, FitOptions], tuple[Prediction, Indices]]


def _surface(law: str, table: RunTable, options: FitOptions) -> tuple[Prediction, Indices]:
    convention = "params_non_embedding" if law == "kaplan" else options.params_convention
    variables, loss = surface_variables(table, convention), table.numbers(options.loss_column)
    held_out = most_expensive(table.numbers(options.flops_column))
    kept = {name: values[~held_out] for name, values in variables.items()}
    if held_out.all():  # a study at one cost: shapes, rates, batches
        message = "no run costs at most half of the most expensive one, so none is left to fit"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    starts = quick_starts(LAWS[law], kept, loss[~held_out])
    prediction = backtest_law(
        LAWS[law], variables, loss, held_out, options.fitting_objective, options.departing, starts
    )
    return prediction, prediction.held_out


def _compute(table: RunTable, options: FitOptions) -> tuple[Prediction, Indices]:
    """L(C): seeds are averaged, and only the held-out runs on the envelope of all runs are predicted."""
    cells = average_seeds(table, options)
    held_out = most_expensive(cells.flops)
    prediction = backtest_envelope(
        cells.flops, cells.loss, cells.params, held_out, options.fitting_objective, options.resampling
    )
    return prediction, cells.first[prediction.held_out]


_TESTS: dict[str, Test] = {
    "hoffmann": lambda table, options: _surface("hoffmann", table, options),
    "kaplan": lambda table, options: _surface("kaplan", table, options),
    "compute": _compute,
}


def prediction_summary(prediction: Prediction) -> dict[str, Any]:
    """How far off the predictions were, and how many intervals held."""
    return {
        "n": len(prediction.held_out),
        "mean_absolute_relative_error": prediction.mean_absolute_error,
        "largest_absolute_relative_error": float(np.max(np.abs(prediction.relative_error))),
        "coverage": prediction.coverage,
    }


def prediction_rows(
    law: str, runs: Sequence[str], columns: Mapping[str, Array], prediction: Prediction, indices: Indices
) -> list[dict[str, Any]]:
    """One row per held-out run: what it is, by `columns` [n] of all runs, and its measured and predicted loss."""
    return [
        {
            "law": law,
            "run": runs[row],
            **{name: values[row] for name, values in columns.items()},
            "measured": prediction.measured[i],
            "predicted": prediction.predicted[i],
            "relative_error_percent": 100 * prediction.relative_error[i],
            "low": prediction.low[i],
            "high": prediction.high[i],
            "inside": bool(prediction.low[i] <= prediction.measured[i] <= prediction.high[i]),
        }
        for i, row in enumerate(indices)
    ]


def _columns(table: RunTable, options: FitOptions) -> dict[str, Array]:
    names = {"flops": options.flops_column, "params": options.params_convention, "tokens": "tokens"}
    return {name: table.numbers(column) for name, column in names.items()}

"""The learning curves of a study's runs, as Approach 1 reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scaling_lab.errors import TableError
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.table import RunTable
from scaling_lab.science.curve_envelope import Curve

LOSS = "train_loss_smoothed_nats"  # the only loss that is recorded at every point of a curve
_COLUMNS = ("run", "tokens", "progress", LOSS)


def read_curves(path: Path, table: RunTable, options: FitOptions) -> list[Curve]:
    """The curve of every run of `table`, in its order; FLOPs by the study's convention, progress through the schedule.

    A schedule that is longer than its run, or never decays, leaves the loss at the end of the run as high as in its
    middle, so that progress does not reach 1 (papers.md E.5).

    Raises:
        TableError: the file or a column is missing, or a run has no curve.
    """
    try:
        columns = pq.read_table(path, columns=list(_COLUMNS)).to_pydict()
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise TableError(f"{path}: not a readable table with {', '.join(_COLUMNS)}: {reason}") from error
    names = np.array(columns["run"], dtype=object)
    tokens, progress, loss = (np.array(columns[name], dtype=np.float64) for name in _COLUMNS[1:])
    completed = table.floats("schedule_completed") if "schedule_completed" in table.columns else np.ones(len(table))
    params, per_token = table.numbers(options.params_convention), table.numbers(options.flops_per_token_column)
    curves = []
    for run, size, cost, share in zip(table.runs, params, per_token, completed, strict=True):
        own = names == run
        if not own.any():
            raise TableError(f"{path}: no curve of run {run}, which {table.path} lists")
        curves.append(Curve(float(size), tokens[own] * cost, tokens[own], loss[own], share * progress[own]))
    return curves

"""Seed noise: how much the loss of a run differs when nothing but its seed does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2

from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import provenance_of, reason_of, write_json
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.table import SHAPE_COLUMNS, VARIANT_COLUMNS, RunTable, read_runs
from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

MINIMUM_SEEDS = 3
_SAME = (
    *SHAPE_COLUMNS, *VARIANT_COLUMNS, "tokens", "batch_tokens", "learning_rate", "schedule", "dropout", "tokens_id",
    "schedule_completed", "cooldown_fraction", "final_fraction", "unique_tokens", "stops_early",
)  # fmt: skip


def run_noise(runs: Path, output: Path, options: FitOptions) -> None:
    """Write noise.json: the standard deviation of the loss over seeds, per cell of three or more and pooled.

    Raises:
        TableError: the table of runs cannot be used.
    """
    table = read_runs(runs)
    used = status_ok(Selection(table)).table
    loss = used.numbers(options.loss_column)
    cells = [members for members in seed_cells(used) if len(members) >= MINIMUM_SEEDS]
    document: dict[str, Any] = {"loss_column": options.loss_column, "status": "ok", "reason": None, "pooled": None}
    if cells:
        document["pooled"] = pooled_noise([loss[members] for members in cells], options.level)
    else:
        message = f"no cell has {MINIMUM_SEEDS} or more seeds"
        refusal = FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
        document |= {"status": "refused", "reason": reason_of(refusal)}
    document["cells"] = [_cell(used, loss, members) for members in cells]
    document["provenance"] = provenance_of({runs.name: table.sha256}, options.as_json(), simulated=table.simulated)
    write_json(output, document)


def seed_cells(table: RunTable) -> list[list[int]]:
    """Rows that agree in model, data and recipe; the columns that the table has decide."""
    columns = [table.columns[name] for name in _SAME if name in table.columns]
    cells: dict[tuple[Any, ...], list[int]] = {}
    for row, key in enumerate(zip(*columns, strict=True)):
        cells.setdefault(key, []).append(row)
    return list(cells.values())


def pooled_noise(cells: list[Array], level: float) -> dict[str, Any]:
    """Standard deviation over seeds, pooled by degrees of freedom, in nats and of log loss, with chi2 intervals."""
    freedom = sum(len(cell) - 1 for cell in cells)
    quantiles = chi2.ppf([(1 + level) / 2, (1 - level) / 2], freedom)
    pooled: dict[str, Any] = {"degrees_of_freedom": freedom}
    for name, scaled in (("sd_nats", cells), ("relative_sd", [np.log(cell) for cell in cells])):
        squares = sum(float(np.sum((cell - cell.mean()) ** 2)) for cell in scaled)
        low, high = np.sqrt(squares / quantiles)
        interval = {"level": level, "low": float(low), "high": float(high)}
        pooled[name] = {"value": float(np.sqrt(squares / freedom)), "interval": interval}
    return pooled


def _cell(table: RunTable, loss: Array, members: list[int]) -> dict[str, Any]:
    losses, first = loss[members], members[0]
    return {
        "runs": [table.runs[row] for row in members],
        "n_layer": table.columns["n_layer"][first],
        "d_model": table.columns["d_model"][first],
        "params_non_embedding": table.numbers("params_non_embedding")[first],
        "tokens": table.numbers("tokens")[first],
        "seeds": len(members),
        "mean_nats": losses.mean(),
        "sd_nats": losses.std(ddof=1),
        "relative_sd": np.log(losses).std(ddof=1),
    }

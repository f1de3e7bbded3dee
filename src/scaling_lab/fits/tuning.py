"""How far each cell of a grid was trained from its best learning rate, and what published rules would have cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from scaling_lab.fits.labels import params_label
from scaling_lab.fits.learning_rate import fit_learning_rate
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.sweeps import add_cells, relative_curvature
from scaling_lab.fits.table import Mask, RunTable
from scaling_lab.science.fitting import Objective
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.hyperparameters import PUBLISHED_RATES, counted_params
from scaling_lab.science.refusal import FitRefusedError

EQUATION = "excess = k(N) log(rate / best rate)^2, best rate = c N^-q, k the curvature of the sweeps"
SEEDS = 3


def fit_tuning(table: RunTable, options: FitOptions) -> FitRecord:
    """The rule that the study's own sweeps measure, held against every other run of the study.

    The curvature is interpolated between the sizes swept, and that of the outermost beyond them.
    """
    selection = status_ok(Selection(table))
    used = selection.table
    variables = {
        "N": {"column": "params_non_embedding", "label": params_label("params_non_embedding")},
        "X": {"column": "learning_rate", "label": "Peak learning rate"},
    }
    record = FitRecord("tuning", "tuning", EQUATION, variables, Objective("squares"), selection)
    record.draws = {"c": np.empty(0), "q": np.empty(0)}
    record.points = {"run": [], "N": np.empty(0), "X": np.empty(0), "factor": np.empty(0), "excess": np.empty(0)}
    record.diagnostics = {"n_points": 0, "warnings": []}
    swept = _swept(used)
    measured = fit_learning_rate(used.take(swept | _seeded(used)), options)
    if measured.refusal is not None:
        record.refusal = measured.refusal
        return record
    record.parameters = {name: measured.parameters[name] for name in ("c", "q")}
    record.draws = {name: measured.draws[name] for name in ("c", "q")}
    sizes = [size for size in measured.blocks["sizes"] if size["status"] == "ok"]
    record.blocks["rules"] = _rules(used.take(swept), sizes)
    try:
        cells = used.take(~swept)
        c, q = (record.parameters[name]["value"] for name in ("c", "q"))
        best = c * cells.floats("params_non_embedding") ** -q
        add_cells(record, cells, "learning_rate", "rate", best, sizes)
    except FitRefusedError as refusal:
        record.refusal = refusal
    return record


def _swept(table: RunTable) -> Mask:
    """Runs at the amount of data at which the most models were tried at several rates."""
    groups, rates = groups_of(table.numbers("tokens")), table.numbers("learning_rate")
    models = np.array(table.models())

    def tried(group: int) -> int:
        here = groups == group
        counts = [len(np.unique(rates[here & (models == model)])) for model in set(models[here])]
        return sum(count for count in counts if count > 1)

    return np.asarray(groups == max(np.unique(groups).tolist(), key=tried))


def _seeded(table: RunTable) -> Mask:
    """Runs of cells that were trained with three seeds or more: the noise of a run."""
    names = ("tokens", "batch_tokens", "learning_rate", "schedule")
    cells = list(zip(table.models(), *(table.values(name) for name in names), strict=True))
    counts = Counter(cells)
    return np.array([counts[cell] >= SEEDS for cell in cells], dtype=bool)


def _rules(table: RunTable, sizes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What every published rule asks for at the sizes swept, over the best rate, and what that would have cost."""
    rows = []
    for name in PUBLISHED_RATES:
        asked = [_asked(name, table, size) for size in sizes]
        best = np.array([size["best"]["value"] for size in sizes])
        params = np.array([size["params_non_embedding"] for size in sizes])
        factor = np.array(asked) / best
        excess = relative_curvature(sizes, params) * np.log(factor) ** 2
        rows.append({"rule": name, "params": params, "rate": asked, "factor": factor, "excess": excess})
    return rows


def _asked(name: str, table: RunTable, size: Mapping[str, Any]) -> float:
    row = int(np.argmin(np.abs(table.numbers("params_non_embedding") - size["params_non_embedding"])))
    columns = (counted_params(name), "tokens", "flops_deepseek")
    return PUBLISHED_RATES[name](*(float(table.numbers(column)[row]) for column in columns))

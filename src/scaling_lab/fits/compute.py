"""L(C): a power law through the lower envelope of the runs, and the size on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_lab.fits.labels import flops_label, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, empty_draws, estimate, law_diagnostics, law_estimates, points_of
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.table import RunTable
from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.envelope import bootstrap_envelope, fit_envelope
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.refusal import FitRefusedError


@dataclass(frozen=True)
class Cells:
    """Runs that differ only in their seed, averaged: the least of several seeds would be biased low."""

    first: NDArray[np.intp]  # the first run of each cell
    flops: Array
    params: Array
    loss: Array  # geometric mean


def fit_compute(table: RunTable, options: FitOptions) -> FitRecord:
    """L(C) and N_opt(C) on the lower envelope of final losses (Kaplan et al. 2020, Eq 1.3, at fixed batch)."""
    law, selection = LAWS["power"], status_ok(Selection(table))
    cells = average_seeds(selection.table, options)
    selection = _keep_first(selection, cells)
    variables = {"X": {"column": options.flops_column, "label": flops_label(options.flops_convention)}}
    record = FitRecord("compute", law.name, law.equation, variables, options.fitting_objective, selection)
    record.draws = empty_draws(law) | {"params_exponent": np.empty(0), "params_coefficient": np.empty(0)}
    columns = {"X": cells.flops, "N": cells.params}
    record.points = points_of(selection, columns, cells.loss, None) | {"on_envelope": [False] * len(cells.loss)}
    try:
        envelope = fit_envelope(cells.flops, cells.loss, cells.params, options.fitting_objective)
    except FitRefusedError as refusal:
        record.refusal = refusal
        return record
    draws = bootstrap_envelope(envelope, cells.flops, cells.loss, cells.params, options.resampling)
    record.parameters, record.derived = law_estimates(envelope.law, draws, options.level)
    record.objective_value = envelope.law.objective_value
    record.diagnostics = law_diagnostics(envelope.law, draws, options.level)
    record.draws = draws.values
    on_envelope = np.isin(np.arange(len(cells.loss)), envelope.members)
    predicted = envelope.law.predict({"X": cells.flops})
    record.points = points_of(selection, columns, cells.loss, predicted) | {"on_envelope": on_envelope}
    members = envelope.members
    record.blocks["envelope"] = {
        "runs": [selection.table.runs[i] for i in members],
        "flops": cells.flops[members],
        "loss": cells.loss[members],
        "params": cells.params[members],
        "params_column": options.params_convention,
        "params_label": params_label(options.params_convention),
        "params_law": _params_law(envelope.params_exponent, envelope.params_coefficient, draws, options.level),
    }
    return record


def average_seeds(table: RunTable, options: FitOptions) -> Cells:
    """One point per shape and amount of data; the loss is the geometric mean over its runs."""
    flops, params = table.numbers(options.flops_column), table.numbers(options.params_convention)
    loss, tokens = table.numbers(options.loss_column), groups_of(table.numbers("tokens"))
    keys = [(model, int(group)) for model, group in zip(table.models(), tokens, strict=True)]
    cells: dict[tuple[str, int], list[int]] = {}
    for index, key in enumerate(keys):
        cells.setdefault(key, []).append(index)
    first = np.array([members[0] for members in cells.values()], dtype=np.intp)
    means = [float(np.exp(np.mean(np.log(loss[members])))) for members in cells.values()]
    return Cells(first, flops[first], params[first], np.array(means))


def _keep_first(selection: Selection, cells: Cells) -> Selection:
    mask = np.isin(np.arange(len(selection.table)), cells.first)
    reasons = ["averaged with the first run of its shape and amount of data"] * len(mask)
    return selection.keep("seeds_averaged", mask, reasons)


def _params_law(exponent: float, coefficient: float, draws: Draws, level: float) -> dict[str, object]:
    def of(value: float, name: str) -> dict[str, object]:
        return estimate(value, float(np.std(draws.values[name])), draws, name, level)

    return {
        "equation": "N = coefficient C^exponent",
        "exponent": of(exponent, "params_exponent"),
        "coefficient": of(coefficient, "params_coefficient"),
    }

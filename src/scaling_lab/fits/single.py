"""One law on one selection of runs: the path that every fit takes, the workflow's and those of users' tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, departure_block, empty_draws, law_diagnostics, law_estimates, points_of
from scaling_lab.fits.selection import Selection
from scaling_lab.science.bootstrap import Draws, bootstrap_law, exact_and_departing
from scaling_lab.science.fitting import FitResult, fit_law
from scaling_lab.science.laws import LAWS, Array, Law
from scaling_lab.science.projection import SEPARABLE, projected_starts
from scaling_lab.science.refusal import FitRefusedError

INFLUENTIAL = 3  # runs named in the diagnostics
FEWEST_FOR_CORRELATION, DEPENDENT = 20, 0.5
Clusters = NDArray[np.intp]


def new_record(
    name: str,
    law: Law,
    selection: Selection,
    variables: Mapping[str, Array],
    described: dict[str, dict[str, str]],
    loss: Array,
    options: FitOptions,
) -> FitRecord:
    """The record of a fit that is still to be made: draws without rows, points without predictions."""
    record = FitRecord(name, law.name, law.equation, described, options.fitting_objective, selection)
    record.draws, record.points = empty_draws(law), points_of(selection, variables, loss, None)
    return record


def fit_into(
    record: FitRecord,
    law: Law,
    variables: Mapping[str, Array],
    loss: Array,
    options: FitOptions,
    clusters: Clusters | None = None,
) -> tuple[FitResult, Draws] | None:
    """Fit, resample and fill the record; None, with the reason in the record, where the fit is refused.

    Estimates have the interval of an exact law, as publications state it, and that of losses that depart from it. The
    draws that are kept, for decisions and predictions, are those with departures.
    """
    try:
        result = fit_law(law, variables, loss, options.fitting_objective)
    except FitRefusedError as refusal:
        record.refusal = refusal
        return None
    draws, departing = exact_and_departing(lambda chosen: bootstrap_law(result, chosen, clusters), options.departing)
    record.parameters, record.derived = law_estimates(result, draws, options.level, departing)
    record.objective_value = result.objective_value
    record.diagnostics = law_diagnostics(result, draws, options.level)
    record.diagnostics["departure"] = departure_block(departing, options)
    record.diagnostics["influential"] = _influential(result, record.selection.table.runs)
    record.diagnostics["residual_autocorrelation"] = correlation = residual_autocorrelation(result)
    if clusters is None and correlation is not None and correlation > DEPENDENT:
        record.diagnostics["warnings"].append(
            f"neighbouring residuals agree (lag-1 autocorrelation {correlation:.2f}): the rows are not independent, or "
            "the law bends away from them; the intervals are too narrow"
        )
    record.draws, record.points = departing.values, points_of(record.selection, variables, loss, result.predicted)
    return result, departing


def residual_autocorrelation(result: FitResult) -> float | None:
    """Lag-1 autocorrelation of the residuals along X; None for laws of several variables or fewer than 20 runs."""
    if len(result.law.variables) > 1 or len(result.loss) < FEWEST_FOR_CORRELATION:
        return None
    ordered = result.residuals[np.argsort(result.variables[result.law.variables[0]], kind="stable")]
    ordered = ordered - ordered.mean()
    total = float(np.sum(ordered**2))
    return float(np.sum(ordered[1:] * ordered[:-1])) / total if total > 0 else None


def quick_starts(law: Law, variables: Mapping[str, Array], loss: Array) -> Array | None:
    """Projected starts where the law is separable (the same optimum, much cheaper than the grid); None elsewhere."""
    if LAWS.get(law.name) is not law or law.name not in SEPARABLE:
        return None
    return projected_starts(variables, loss, law.name)


def _influential(result: FitResult, runs: list[str]) -> list[dict[str, Any]]:
    """The runs whose absence would move a parameter most, to first order, in standard errors."""
    errors = np.maximum(np.sqrt(np.diag(result.covariance)), 1e-300)
    shifts = result.influence / errors
    strength = np.max(np.abs(shifts), axis=1)
    strongest = np.argsort(-strength, kind="stable")[:INFLUENTIAL]
    names = result.law.parameter_names
    return [
        {
            "run": runs[i],
            "parameter": names[int(np.argmax(np.abs(shifts[i])))],
            "shift_in_se": float(shifts[i, np.argmax(np.abs(shifts[i]))]),
        }
        for i in strongest
    ]

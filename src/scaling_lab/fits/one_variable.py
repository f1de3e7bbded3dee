"""L(N) and L(D): a power law, and beside it the power law with an irreducible loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from scaling_lab.fits.labels import DATA, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, law_estimates, reason_of
from scaling_lab.fits.selection import Selection, data_column, largest_params, largest_tokens, status_ok
from scaling_lab.fits.single import fit_into, new_record
from scaling_lab.fits.table import RunTable
from scaling_lab.science.bootstrap import bootstrap_law, require_offset
from scaling_lab.science.fitting import Objective, fit_law, gaussian_criteria
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

HEADLINE, ALTERNATIVES = "power", ("power", "power_offset", "logarithm")
MINIMUM_VALUES = 4


def fit_params(table: RunTable, options: FitOptions) -> FitRecord:
    """L(N) at the largest amount of data that the sizes share (Kaplan et al. 2020, Eq 1.1)."""
    selection = largest_tokens(status_ok(Selection(table)), options.params_convention)
    return _fit("params", selection, options.params_convention, params_label(options.params_convention), options)


def fit_tokens(table: RunTable, options: FitOptions) -> FitRecord:
    """L(D) of the largest model with a series of amounts of data (Kaplan et al. 2020, Eq 1.2)."""
    selection = largest_params(status_ok(Selection(table)), options.params_convention)
    column = data_column(selection.table)
    return _fit("tokens", selection, column, DATA[column], options)


def _fit(name: str, selection: Selection, column: str, label: str, options: FitOptions) -> FitRecord:
    law = LAWS[HEADLINE]
    x, loss = selection.table.numbers(column), selection.table.numbers(options.loss_column)
    variables = {"X": {"column": column, "label": label}}
    record = new_record(name, law, selection, {"X": x}, variables, loss, options)
    record.blocks["alternatives"] = {form: compare_form(form, x, loss, options) for form in ALTERNATIVES}
    try:
        check_values(column, x)
    except FitRefusedError as refusal:
        record.refusal = refusal
        return record
    fit_into(record, law, {"X": x}, loss, options)
    return record


def compare_form(form: str, x: Array, loss: Array, options: FitOptions) -> dict[str, Any]:
    """One form fitted: its parameters, or why it is refused, and its information criteria from least squares.

    An offset whose interval contains zero is refused: over such a range it cannot be told from a pure power law.
    """
    law = LAWS[form]
    entry: dict[str, Any] = {"equation": law.equation, "parameters": {}, "derived": {}}
    entry |= {"status": "ok", "reason": None, "objective": None, "aic": None, "aicc": None}
    try:
        entry |= gaussian_criteria(fit_law(law, {"X": x}, loss, Objective("squares")).residuals, len(law.parameters))
        result = fit_law(law, {"X": x}, loss, options.fitting_objective)
        draws = bootstrap_law(result, options.resampling)
        entry["parameters"], entry["derived"] = law_estimates(result, draws, options.level)
        entry["objective"] = result.objective_value
        require_offset(result, draws, options.level)
    except FitRefusedError as refusal:
        entry |= {"status": "refused", "reason": reason_of(refusal)}
    return entry


def check_values(column: str, x: Array) -> None:
    """Raise FitRefusedError for fewer than four distinct values; two points always lie on a power law."""
    distinct = len(np.unique(x))
    if distinct == 1:
        raise FitRefusedError(RefusalCode.SINGLE_VALUE, f"every run has {column} = {x[0]:.6g}")
    if distinct < MINIMUM_VALUES:
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{distinct} values of {column}; at least {MINIMUM_VALUES}")

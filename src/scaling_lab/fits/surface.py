"""L(N, D): the laws of Kaplan et al. 2020 and Hoffmann et al. 2022 on every run, under several counts of N."""

from __future__ import annotations

from typing import Any

from scaling_lab.fits.labels import DATA, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, law_diagnostics, law_estimates, reason_of
from scaling_lab.fits.selection import Selection, data_column, status_ok
from scaling_lab.fits.single import fit_into, new_record
from scaling_lab.fits.table import RunTable
from scaling_lab.science.bootstrap import Draws, bootstrap_law
from scaling_lab.science.fitting import FitResult, Objective, fit_law
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.projection import projected_starts, projection_check
from scaling_lab.science.refusal import FitRefusedError

COMPARED_CONVENTIONS = ("params_non_embedding", "params_total")
OBJECTIVES = (Objective("huber", 1e-4), Objective("huber", 1e-3), Objective("huber", 1e-2), Objective("squares"))


def fit_kaplan(table: RunTable, options: FitOptions) -> FitRecord:
    """L(N, D) = [(Nc / N)^(alpha_N / alpha_D) + Dc / D]^alpha_D, N without embeddings (Kaplan et al. 2020, Eq 1.5)."""
    record, _, _ = fit_surface("kaplan", status_ok(Selection(table)), "params_non_embedding", options)
    return record


def fit_hoffmann(table: RunTable, options: FitOptions) -> FitRecord:
    """L(N, D) = E + A / N^alpha + B / D^beta, by two counts of N and several objectives (Hoffmann et al. 2022)."""
    record, result, _ = fit_surface("hoffmann", status_ok(Selection(table)), options.params_convention, options)
    used = record.selection.table
    headline = {"status": "ok", "reason": None, "parameters": record.parameters, "derived": record.derived}
    if record.refusal is not None:
        headline |= {"status": "refused", "reason": reason_of(record.refusal)}
    conventions: dict[str, Any] = {options.params_convention: headline}
    for convention in COMPARED_CONVENTIONS:
        if convention not in conventions:
            conventions[convention] = _compare(used, convention, options)
    record.blocks["conventions"] = conventions
    if result is not None:
        add_hoffmann_checks(record, result)
    return record


def add_hoffmann_checks(record: FitRecord, result: FitResult) -> None:
    """Put the independent optimum of variable projection, and the law by other objectives, into the record."""
    record.diagnostics["variable_projection"] = projection_check(result)
    record.blocks["sensitivity"] = objective_sensitivity(result.variables, result.loss)


def objective_sensitivity(variables: dict[str, Array], loss: Array) -> list[dict[str, Any]]:
    """The Hoffmann law by other objectives: how far the estimate hangs on Huber's delta (papers.md E.4)."""
    rows: list[dict[str, Any]] = []
    for objective in OBJECTIVES:
        row: dict[str, Any] = {"objective": objective.name, "delta": None, "parameters": {}, "derived": {}}
        row |= {"delta": objective.delta} if objective.name == "huber" else {}
        try:
            result = fit_law(LAWS["hoffmann"], variables, loss, objective, projected_starts(variables, loss))
            row |= {"status": "ok", "reason": None, "parameters": result.parameters, "derived": result.derived}
        except FitRefusedError as refusal:
            row |= {"status": "refused", "reason": reason_of(refusal)}
        rows.append(row)
    return rows


def surface_variables(table: RunTable, params_convention: str) -> dict[str, Array]:
    """N by its convention and D in tokens, as `data_column` counts them."""
    return {"N": table.numbers(params_convention), "D": table.numbers(data_column(table))}


def fit_surface(
    name: str, selection: Selection, convention: str, options: FitOptions, *, fit: str | None = None
) -> tuple[FitRecord, FitResult | None, Draws | None]:
    """The law `name` of L(N, D) on selected runs, as the fit of another name if one is given."""
    law, used = LAWS[name], selection.table
    loss, variables = used.numbers(options.loss_column), surface_variables(used, convention)
    described = {
        "N": {"column": convention, "label": params_label(convention)},
        "D": {"column": data_column(used), "label": DATA[data_column(used)]},
    }
    record = new_record(fit or name, law, selection, variables, described, loss, options)
    fitted = fit_into(record, law, variables, loss, options)
    if fitted is None:
        return record, None, None
    record.diagnostics["warnings"] += _repetition(used)
    return record, *fitted


def _compare(used: RunTable, convention: str, options: FitOptions) -> dict[str, Any]:
    """The Hoffmann law by another count of N, with intervals."""
    variables, loss = surface_variables(used, convention), used.numbers(options.loss_column)
    try:
        result = fit_law(
            LAWS["hoffmann"], variables, loss, options.fitting_objective, projected_starts(variables, loss)
        )
    except FitRefusedError as refusal:
        return {"status": "refused", "reason": reason_of(refusal), "parameters": {}, "derived": {}}
    draws = bootstrap_law(result, options.resampling)
    parameters, derived = law_estimates(result, draws, options.level)
    diagnostics = law_diagnostics(result, draws, options.level)
    entry = {"status": "ok", "reason": None, "parameters": parameters, "derived": derived}
    return entry | {"diagnostics": diagnostics}


def _repetition(table: RunTable) -> list[str]:
    if data_column(table) == "unique_tokens":
        return []
    repeated = int((table.numbers("tokens") > 1.001 * table.numbers("unique_tokens")).sum())
    return [f"{repeated} runs read some tokens more than once; D counts tokens processed"] if repeated else []

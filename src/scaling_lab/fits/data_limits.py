"""What repeated tokens are worth: the data-constrained law, Kaplan's L(N, D) beside it, the plan for U tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from scaling_lab.fits.labels import TOKENS, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, reason_of
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.single import fit_into, new_record
from scaling_lab.fits.table import Mask, RunTable
from scaling_lab.science.bootstrap import Draws, percentile_interval
from scaling_lab.science.data_limited import data_limited_optimum
from scaling_lab.science.fitting import FitResult, Objective, fit_law, gaussian_criteria
from scaling_lab.science.fixing import fix_parameters
from scaling_lab.science.laws import LAWS, Array, Law
from scaling_lab.science.projection import projected_starts
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.shapes import ShapeFamily

# Where a parameter ends that the runs do not identify, and what that says.
LIMITS = {"E": 0.0, "R_N": 1e5}
UNIDENTIFIED = {
    "E": "the irreducible loss is not identified: these runs fit as well without one",
    "R_N": "R_N* is not identified: excess parameters lose nothing in these runs",
}
REPEATED = 1.001  # tokens over unique ones from which a run repeats
# By name: the law, and what its D counts.
RIVALS = {
    "Kaplan's L(N, D), D unique tokens": ("kaplan", "U"),
    "Kaplan's L(N, D), D tokens read": ("kaplan", "D"),
    "Hoffmann's L(N, D), D unique tokens": ("hoffmann", "U"),
    "Hoffmann's L(N, D), D tokens read": ("hoffmann", "D"),
}
BUDGET_MULTIPLES = (1.0, 10.0, 100.0)


def fit_data_limits(table: RunTable, options: FitOptions) -> FitRecord:
    """R_D* and R_N* of Muennighoff et al. 2023 with all other parameters, on single and repeated passes together.

    Runs that a shorter one of the same model and text beats are left out, by name: they overfit, which the law, whose
    loss falls with every epoch, does not know.
    """
    selection = not_overfitted(status_ok(Selection(table)), options.loss_column)
    used, law = selection.table, LAWS["data_constrained"]
    variables = {
        "N": used.numbers(options.params_convention),
        "D": used.numbers("tokens"),
        "U": used.numbers("unique_tokens"),
    }
    loss = used.numbers(options.loss_column)
    described = {
        "N": {"column": options.params_convention, "label": params_label(options.params_convention)},
        "D": {"column": "tokens", "label": TOKENS},
        "U": {"column": "unique_tokens", "label": "Unique tokens"},
    }
    record = new_record("data_limits", law, selection, variables, described, loss, options)
    record.blocks["repeated_runs"] = int((variables["D"] > REPEATED * variables["U"]).sum())
    fitted = _fit(record, variables, loss, options)
    record.blocks["forms"] = _forms(variables, loss, fitted[0] if fitted else None)
    record.blocks["plans"] = []
    if fitted:
        _add_plans(record, *fitted, options)
    return record


def _fit(
    record: FitRecord, variables: Mapping[str, Array], loss: Array, options: FitOptions
) -> tuple[FitResult, Draws] | None:
    """The law; where these runs do not tell E from 0, or R_N* from infinity, with those, and a warning."""
    law, fixed = LAWS["data_constrained"], dict[str, float]()
    fitted = fit_into(record, law, variables, loss, options)
    while record.refusal is not None:
        name = next((n for n in LIMITS if n not in fixed and f"{n} = " in record.refusal.message), None)
        if name is None:
            return None
        fixed[name], record.refusal = LIMITS[name], None
        fitted = fit_into(record, fix_parameters(law, fixed), variables, loss, options)
    if fitted is None or not fixed:
        return fitted
    result, draws = fitted
    record.diagnostics["warnings"] += [UNIDENTIFIED[name] for name in fixed]
    record.parameters |= {name: {"value": value, "se": None, "interval": None} for name, value in fixed.items()}
    record.draws |= {name: np.full(draws.count, value) for name, value in fixed.items()}
    return replace(result, parameters={**result.parameters, **fixed}), replace(draws, values=record.draws)


def not_overfitted(selection: Selection, loss_column: str) -> Selection:
    """Without runs that a shorter one of the same model, text and seed is better than."""
    table = selection.table
    tokens, unique, loss = (table.numbers(name) for name in ("tokens", "unique_tokens", loss_column))
    keys = list(zip(table.models(), unique.tolist(), table.values("seed"), strict=True))
    best: dict[Any, float] = {}
    kept, reasons = np.ones(len(table), dtype=bool), [""] * len(table)
    for index in np.argsort(tokens, kind="stable"):
        key, before = keys[index], best.get(keys[index], np.inf)
        if tokens[index] > REPEATED * unique[index] and loss[index] > before:
            kept[index] = False
            reasons[index] = f"{tokens[index] / unique[index]:.3g} epochs: {loss[index]:.4g} nats, fewer: {before:.4g}"
        best[key] = min(before, float(loss[index]))
    return selection.keep("overfitted", kept, reasons)


def _forms(variables: Mapping[str, Array], loss: Array, own: FitResult | None) -> list[dict[str, Any]]:
    """The law and its rivals by least squares on the same runs: scatter of all runs and of repeated ones, AICc."""
    repeated = variables["D"] > REPEATED * variables["U"]
    rows = []
    if own:
        rows.append(_form("data-constrained", own.law, variables, loss, own.theta[None, :], repeated))
    for name, (rival, data) in RIVALS.items():
        chosen = {"N": variables["N"], "D": variables[data]}
        rows.append(_form(name, LAWS[rival], chosen, loss, projected_starts(chosen, loss, rival), repeated))
    return rows


def _form(
    name: str, law: Law, variables: Mapping[str, Array], loss: Array, starts: Array, repeated: Mask
) -> dict[str, Any]:
    try:
        result = _least_squares(law, variables, loss, starts)
    except FitRefusedError as refusal:
        return {"form": name, "status": "refused", "reason": reason_of(refusal)}
    own = result.residuals[repeated]
    return {
        "form": name,
        "status": "ok",
        "reason": None,
        "residual_sd_log": float(np.sqrt(np.mean(result.residuals**2))),
        "residual_sd_log_repeated": float(np.sqrt(np.mean(own**2))) if len(own) else None,
        "aicc": gaussian_criteria(result.residuals, len(result.theta)).get("aicc"),
    }


def _least_squares(law: Law, variables: Mapping[str, Array], loss: Array, starts: Array) -> FitResult:
    """A law by least squares; without its irreducible loss where that is 0. Raises FitRefusedError."""
    try:
        return fit_law(law, variables, loss, Objective("squares"), starts)
    except FitRefusedError as refusal:
        if law.offset is None or refusal.code is not RefusalCode.OFFSET_CONTAINS_ZERO:
            raise
        return fit_law(fix_parameters(law, {law.offset: 0.0}), variables, loss, Objective("squares"))


def _add_plans(record: FitRecord, result: FitResult, draws: Draws, options: FitOptions) -> None:
    """For every limited amount of unique tokens, the best size and epochs at the largest budget and beyond; or a
    warning why there are none."""
    table = record.selection.table
    try:
        family = ShapeFamily(table.shapes(), options.params_convention, options.flops_convention)
    except FitRefusedError as refusal:
        record.blocks["plans_refused"] = reason_of(refusal)
        record.diagnostics["warnings"].append(f"no plan for limited tokens: {refusal.message}")
        return
    tokens, unique = table.numbers("tokens"), table.numbers("unique_tokens")
    largest = float(table.numbers(options.flops_column).max())
    for limit in np.unique(unique[tokens > REPEATED * unique]):
        for flops in (multiple * largest for multiple in BUDGET_MULTIPLES):
            best, drawn = (
                _optimum(values, flops, float(limit), family) for values in (result.parameters, draws.values)
            )
            record.blocks["plans"].append(
                {"flops": flops, "unique_tokens": float(limit)} | _quantities(best, drawn, options.level)
            )


def _optimum(values: Mapping[str, Any], flops: float, unique: float, family: ShapeFamily) -> dict[str, Array]:
    base = {name: values[name] for name in ("E", "A", "B", "alpha", "beta")}
    repetition = {name: values[name] for name in ("R_N", "R_D")}
    found = data_limited_optimum(base, flops, unique, repetition, family.flops_per_token, family.params_range)
    optimum = found.optimum
    return {"params": optimum.params, "tokens": optimum.tokens, "epochs": found.epochs, "loss": optimum.loss}


def _quantities(best: Mapping[str, Array], drawn: Mapping[str, Array], level: float) -> dict[str, Any]:
    def of(name: str) -> dict[str, Any]:
        values = np.atleast_1d(drawn[name])
        interval = percentile_interval(values, level) if len(values) >= 20 else None
        return {"value": float(best[name]), "interval": None if interval is None else vars(interval)}

    return {name: of(name) for name in best}

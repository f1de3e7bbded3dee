"""Appendix B of Kaplan et al. 2020 in numbers from a study's own constants: the optimum, and what leaving it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.fits.labels import params_label
from scaling_lab.fits.one_variable import fit_tokens
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, empty_draws, estimate, law_estimates, reason_of
from scaling_lab.fits.table import RunTable
from scaling_lab.fits.training_law import fit_curves, read_ladder
from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.crossing import crossing_of
from scaling_lab.science.frontier import TrainingLaw, stopping_ratios
from scaling_lab.science.laws import LAWS
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

LAW = LAWS["kaplan_steps"]
CONSTANTS = ("Nc", "Sc", "alpha_N", "alpha_S", "B_star", "alpha_B")
NEARLY_CONVERGED = 0.02  # above the converged loss: what Eq B.11 to B.14 compare the optimum with
EXCESS = 0.2  # of compute: the band of sizes that cost no more than this (Figure 12)


def fit_theory(table: RunTable, curves_path: Path, options: FitOptions) -> FitRecord:
    """What L(N, S_min) and B_crit(L) imply: exponents, distance from convergence, cost of wrong sizes, contradiction.

    Training is at the critical batch and C = 6 N B S, whatever the study counts. The contradiction (section 6.3) is
    where L(C_min) falls below L(D) of its own data, D by the study's `tokens` fit.
    """
    read = read_ladder(table, curves_path, options)
    column = options.params_convention
    variables = {"N": {"column": column, "label": params_label(column)}, "S": {"column": "steps_min", "label": "Steps"}}
    record = FitRecord("frontier", LAW.name, LAW.equation, variables, options.fitting_objective, read.selection)
    record.blocks["critical_batch"] = read.block(options.level)
    record.draws, record.points = empty_draws(LAW), {"run": [curve.run for curve in read.ladder]}
    try:
        if isinstance(read.scan, FitRefusedError):
            message = f"no critical batch, on which the optimum rests: {read.scan.message}"
            raise FitRefusedError(RefusalCode.NOT_IDENTIFIED, message)
        _, result, draws = fit_curves(read, options)
    except FitRefusedError as refusal:
        record.refusal = refusal
        return record
    estimates, _ = law_estimates(result, draws, options.level)
    batch = read.block(options.level)["parameters"]
    record.parameters = estimates | batch
    values = {name: record.parameters[name]["value"] for name in CONSTANTS}
    own, drawn = TrainingLaw(**values), _each(draws)
    implied = _implied(own)
    both = Draws(draws.values | drawn, draws.resamples, draws.failed)
    record.derived = {name: estimate(value, None, both, name, options.level) for name, value in implied.items()}
    record.blocks["contradiction"] = _contradiction(table, own, both, options)
    counted = {"resamples": draws.resamples, "failed": sum(draws.failed.values()), "failed_by_reason": draws.failed}
    warnings = [*result.warnings, *read.warnings]
    record.diagnostics = {"n_points": len(result.loss), "bootstrap": counted, "warnings": warnings}
    record.draws = both.values
    return record


def _implied(law: TrainingLaw) -> dict[str, float]:
    """The derived numbers of one set of constants; compute in FLOPs."""
    low, high = law.size_band(EXCESS)
    stopping = stopping_ratios(law.ratio, NEARLY_CONVERGED, law.alpha_N, law.alpha_S)
    return {
        "alpha_C": law.alpha_C,
        "Cc": law.Cc,
        "above_converged": law.ratio,
        **{f"{name}_exponent": value for name, value in law.exponents.items()},
        **{f"{name}_over_nearly_converged": float(value) for name, value in stopping.items()},
        "smallest_size": low,
        "largest_size": high,
    }


def _each(draws: Draws) -> dict[str, Any]:
    """The derived numbers of every draw; those of constants that leave no band of sizes are not a number."""
    rows: list[dict[str, float]] = []
    for values in zip(*(draws.values[name] for name in CONSTANTS), strict=True):
        try:
            rows.append(_implied(TrainingLaw(**dict(zip(CONSTANTS, map(float, values), strict=True)))))
        except (ValueError, OverflowError):
            rows.append({})
    names = next((list(row) for row in rows if row), [])
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


def _contradiction(table: RunTable, law: TrainingLaw, draws: Draws, options: FitOptions) -> dict[str, Any]:
    """C*, N*, D* and L* with their intervals over both laws' draws, or why the laws do not meet."""
    data = fit_tokens(table, options)
    if data.refusal is not None:
        return {"status": "refused", "reason": reason_of(data.refusal)}
    own = {name: data.parameters[name]["value"] for name in ("Xc", "alpha")}
    point = crossing_of(law, own)
    if point is None:
        message = "L(D) falls as fast along D(C_min) as L(C_min) does: the laws do not meet at a larger compute"
        return {"status": "refused", "reason": {"code": RefusalCode.NOT_IDENTIFIED.value, "message": message}}
    rng = np.random.default_rng(options.seed)
    found = []
    for values in zip(*(draws.values[name] for name in CONSTANTS), strict=True):
        pick = int(rng.integers(len(data.draws["Xc"])))
        drawn = {name: float(data.draws[name][pick]) for name in ("Xc", "alpha")}
        other = crossing_of(TrainingLaw(**dict(zip(CONSTANTS, map(float, values), strict=True))), drawn)
        if other is not None:
            found.append(other)
    names = ("flops", "params", "tokens", "loss")
    columns = {name: np.array([getattr(item, name) for item in found]) for name in names}
    crossings = Draws(columns, draws.count, {"do_not_meet": draws.count - len(found)})
    at = {name: estimate(getattr(point, name), None, crossings, name, options.level) for name in names}
    share = len(found) / max(draws.count, 1)
    return {"status": "ok", "reason": None, "share_of_draws_that_meet": share, "data": own, **at}

"""Approach 2: IsoFLOP profiles of a study and the power laws N_opt(C) and D_opt(C) through their minima."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from scaling_lab.fits.isoflop_checks import grid_biases, largest_budget_backtest, next_cells
from scaling_lab.fits.labels import TOKENS, flops_label, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, departure_block, estimate_with_departure, points_of, reason_of
from scaling_lab.fits.selection import Selection, isoflop_groups, status_ok
from scaling_lab.fits.table import RunTable
from scaling_lab.science.approaches import budget_profiles
from scaling_lab.science.bootstrap import Draws, exact_and_departing
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.isoflop import Profile, TokenCost, fit_isoflop
from scaling_lab.science.isoflop_draws import bootstrap_isoflop
from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError
from scaling_lab.science.runs import Runs

EQUATION = "N_opt = params_coefficient C^a, D_opt = tokens_coefficient C^b"
PARAMETERS = ("a", "b", "params_coefficient", "tokens_coefficient")


def fit_isoflop_profiles(table: RunTable, options: FitOptions) -> FitRecord:
    """Parabolas of loss in log N at equal budgets, and power laws through their minima (Hoffmann et al. 2022, 3.2)."""
    finished = status_ok(Selection(table))
    cost = token_cost(finished.table, options)
    selection = isoflop_groups(finished, options.flops_column, options.params_convention)
    used = selection.table
    profiles = budget_profiles(study_runs(used, options), cost)
    variables = {
        "C": {"column": options.flops_column, "label": flops_label(options.flops_convention)},
        "N": {"column": options.params_convention, "label": params_label(options.params_convention)},
        "D": {"column": "tokens", "label": TOKENS},
    }
    record = FitRecord("isoflop", "isoflop", EQUATION, variables, options.fitting_objective, selection)
    record.draws, record.points = {name: np.empty(0) for name in PARAMETERS}, _points(selection, options, profiles)
    record.blocks["profiles"] = [_profile_json(profile, cost, options.level) for profile in profiles]
    everything = study_runs(finished.table, options)
    surface = {"N": everything.params, "D": everything.tokens}
    record.blocks["grid_bias"] = grid_biases(profiles, cost, surface, everything.loss, options)
    record.blocks["backtest"] = largest_budget_backtest(profiles, cost, options)
    record.blocks["next_cells"] = next_cells(profiles, finished.table, options)
    record.diagnostics = {"n_points": len(used), "budgets": len(profiles)}
    try:
        fit = fit_isoflop(profiles)
    except FitRefusedError as refusal:
        record.refusal = refusal
        return record
    draws, departing = exact_and_departing(lambda chosen: bootstrap_isoflop(fit, cost, chosen), options.departing)
    record.parameters = power_law_estimates(fit, draws, departing, options.level)
    record.draws = departing.values
    record.diagnostics |= _diagnostics(profiles, draws) | {"departure": departure_block(departing, options)}
    return record


def power_law_estimates(fit: object, draws: Draws, departing: Draws, level: float) -> dict[str, Any]:
    """Exponents and coefficients of N_opt(C) and D_opt(C); standard errors are those of the draws."""
    return {
        name: estimate_with_departure(
            getattr(fit, name), float(np.std(draws.values[name])), draws, departing, name, level
        )
        for name in PARAMETERS
    }


def token_cost(table: RunTable, options: FitOptions) -> TokenCost:
    """FLOPs per token against N, over all sizes of the table."""
    return TokenCost(table.numbers(options.params_convention), table.numbers(options.flops_per_token_column))


def study_runs(table: RunTable, options: FitOptions) -> Runs:
    """N, D, C and loss of every run by the study's conventions."""
    columns = (options.params_convention, "tokens", options.flops_column, options.loss_column)
    return Runs(*(table.numbers(column) for column in columns))


def _points(selection: Selection, options: FitOptions, profiles: list[Profile]) -> dict[str, Any]:
    table = selection.table
    names = {"C": options.flops_column, "N": options.params_convention, "D": "tokens"}
    columns = {name: table.numbers(column) for name, column in names.items()}
    loss, predicted = table.numbers(options.loss_column), np.full(len(table), np.nan)
    budget: Array = np.full(len(table), np.nan)
    if len(table):
        groups = groups_of(columns["C"])
        for g, profile in zip(np.unique(groups), profiles, strict=True):
            predicted[groups == g] = profile.predict(profile.params)
            budget[groups == g] = profile.flops
    return points_of(selection, columns | {"budget": budget}, loss, predicted)


def _profile_json(profile: Profile, cost: TokenCost, level: float) -> dict[str, Any]:
    vertex, ends = profile.vertex, None
    if vertex is not None:
        reach = np.exp(NormalDist().inv_cdf((1 + level) / 2) * vertex.log_params_error)
        ends = np.array([vertex.params / reach, vertex.params * reach])
    return {
        "flops": profile.flops,
        "status": "ok" if profile.refusal is None else "refused",
        "reason": reason_of(profile.refusal),
        "params": profile.params,
        "loss": profile.loss,
        "parabola": {"log_params_centre": profile.centre, "coefficients": profile.coefficients},
        "params_opt": vertex.params if vertex else None,
        "params_opt_relative_se": vertex.log_params_error if vertex else None,
        "params_opt_interval": _interval(level, ends),
        "tokens_opt": profile.tokens,
        # At a fixed budget an interval of N is one of D, turned over.
        "tokens_opt_interval": _interval(level, None if ends is None else profile.flops / cost(ends[::-1])),
        "loss_opt": vertex.loss if vertex else None,
        "curvature": vertex.curvature if vertex else None,
        "warnings": list(profile.warnings),
    }


def _interval(level: float, ends: Array | None) -> dict[str, float] | None:
    return None if ends is None else {"level": level, "low": float(ends[0]), "high": float(ends[1])}


def _diagnostics(profiles: list[Profile], draws: Draws) -> dict[str, Any]:
    failed = sum(draws.failed.values())
    warnings = [note for profile in profiles for note in profile.warnings]
    warnings += [f"budget left out: {profile.refusal.message}" for profile in profiles if profile.refusal]
    if failed > 0.05 * draws.resamples:
        warnings.append(f"{failed} of {draws.resamples} bootstrap draws failed ({draws.failed})")
    return {
        "accepted": sum(profile.vertex is not None for profile in profiles),
        "bootstrap": {"resamples": draws.resamples, "failed": failed, "failed_by_reason": draws.failed},
        "warnings": warnings,
    }

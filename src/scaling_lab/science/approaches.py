"""Chinchilla's three approaches on one table of runs, side by side: what each says of N*(C), D*(C), and how surely."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.bootstrap import BootstrapOptions, Draws, Interval, bootstrap_law, percentile_interval
from scaling_lab.science.curve_envelope import Curve, bootstrap_curve_envelope, fit_curve_envelope
from scaling_lab.science.fitting import FitResult, Objective, fit_law
from scaling_lab.science.isoflop import Profile, TokenCost, fit_isoflop, fit_profile
from scaling_lab.science.isoflop_draws import bootstrap_isoflop
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.projection import fit_projected
from scaling_lab.science.refusal import FitRefusedError
from scaling_lab.science.valley import GridBias, grid_bias, optimal_params, recentred, with_akima

SAME_BUDGET = 0.1  # runs whose FLOPs differ by less, one after the other, share a budget


@dataclass(frozen=True)
class Runs:
    """A table of finished runs [n]: N, D, training FLOPs and loss in nats, N and C by conventions of the caller."""

    params: Array
    tokens: Array
    flops: Array
    loss: Array


@dataclass(frozen=True)
class Allocation:
    """One approach: N* ~ C^a, D* ~ C^b, N* and D* at the budget asked for, with intervals; or why it is refused."""

    approach: str
    estimates: dict[str, float]  # a, b, params, tokens, tokens_per_param
    intervals: dict[str, Interval]
    draws: Draws | None
    refusal: FitRefusedError | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Approaches:
    """All approaches at one budget, the runs they disagree on included."""

    flops: float
    level: float
    allocations: dict[str, Allocation]
    profiles: tuple[Profile, ...]
    surface: FitResult | None
    bias: GridBias | None  # of the IsoFLOP grid, on the fitted surface

    @property
    def disagreements(self) -> tuple[tuple[str, str], ...]:
        """Pairs of approaches whose intervals of a do not overlap."""
        known = [(name, x.intervals["a"]) for name, x in self.allocations.items() if "a" in x.intervals]
        return tuple(
            (first, second)
            for i, (first, x) in enumerate(known)
            for second, y in known[i + 1 :]
            if x.low > y.high or y.low > x.high
        )


@dataclass(frozen=True)
class ApproachOptions:
    """What the approaches share. starts: of the parametric fit, the published 4,500 by default. recentre: the factor
    around each vertex to which the parabolas are narrowed, where enough sizes are left."""

    objective: Objective = field(default_factory=Objective)
    resampling: BootstrapOptions = field(default_factory=BootstrapOptions)
    starts: Array | None = None
    recentre: float = 4.0


def compare_approaches(
    runs: Runs,
    flops: float,
    cost: TokenCost,
    options: ApproachOptions | None = None,
    curves: Sequence[Curve] | None = None,
) -> Approaches:
    """Approach 1 (with `curves`), 2 (parabola, re-centred parabola, Akima), 3 and variable projection on `runs`.

    flops: the budget at which N* and D* are compared. A refused approach is part of the answer.
    """
    chosen = options or ApproachOptions()
    profiles = budget_profiles(runs, cost)
    makers: dict[str, Callable[[], tuple[Draws, dict[str, float], tuple[str, ...]]]] = {
        "isoflop_parabola": lambda: _isoflop(profiles, flops, cost, chosen),
        "isoflop_recentred": lambda: _isoflop(
            [recentred(p, cost, chosen.recentre) for p in profiles], flops, cost, chosen
        ),
        "isoflop_akima": lambda: _isoflop([with_akima(p, cost) for p in profiles], flops, cost, chosen),
    }
    if curves is not None:
        makers = {"envelope": lambda: _envelope(curves, flops, chosen)} | makers
    surfaces = {"parametric": _surface(runs, chosen, False), "variable_projection": _surface(runs, chosen, True)}
    allocations = {name: _allocation(name, make, chosen.resampling.level) for name, make in makers.items()}
    for name, surface in surfaces.items():
        make = _parametric(surface, flops, cost, chosen)
        allocations[name] = _allocation(name, make, chosen.resampling.level)
    fitted = next((s for s in surfaces.values() if isinstance(s, FitResult)), None)
    return Approaches(
        flops, chosen.resampling.level, allocations, tuple(profiles), fitted, _bias(profiles, fitted, cost)
    )


def budgets_of(flops: Array, gap: float = SAME_BUDGET) -> NDArray[np.intp]:
    """Number of each run's budget [n], cheapest first: sorted costs are split where one exceeds the last by `gap`."""
    order = np.argsort(flops, kind="stable")
    steps = np.concatenate([[0], np.cumsum(np.diff(np.log(flops[order])) > np.log1p(gap))])
    groups = np.empty(len(flops), dtype=np.intp)
    groups[order] = steps
    return groups


def budget_profiles(runs: Runs, cost: TokenCost) -> list[Profile]:
    """One profile per budget with at least two sizes; the others are no profiles."""
    groups, profiles = budgets_of(runs.flops), []
    for group in range(groups.max() + 1):
        members = groups == group
        if len(np.unique(runs.params[members])) > 1:
            budget = float(np.exp(np.mean(np.log(runs.flops[members]))))
            profiles.append(fit_profile(budget, runs.params[members], runs.loss[members], cost))
    return profiles


def _allocation(
    name: str, make: Callable[[], tuple[Draws, dict[str, float], tuple[str, ...]]], level: float
) -> Allocation:
    try:
        draws, estimates, warnings = make()
    except FitRefusedError as refusal:
        return Allocation(name, {}, {}, None, refusal)
    intervals = {key: percentile_interval(draws.values[key], level) for key in estimates} if draws.count >= 20 else {}
    return Allocation(name, estimates, intervals, draws, None, warnings)


def _at_budget(draws: Draws, line: dict[str, float], flops: float) -> tuple[Draws, dict[str, float]]:
    """N*, D* and tokens per parameter of power laws and of their draws."""
    estimates = _on_lines({name: np.array(value) for name, value in line.items()}, flops)
    values = _on_lines(draws.values, flops)
    return Draws(values, draws.resamples, draws.failed), {key: float(value) for key, value in estimates.items()}


def _on_lines(values: Mapping[str, Array], flops: float) -> dict[str, Array]:
    params = np.asarray(values["params_coefficient"] * flops ** values["a"])
    tokens = np.asarray(values["tokens_coefficient"] * flops ** values["b"])
    pair = {"params": params, "tokens": tokens, "tokens_per_param": tokens / params}
    return {"a": values["a"], "b": values["b"]} | pair


def _envelope(
    curves: Sequence[Curve], flops: float, options: ApproachOptions
) -> tuple[Draws, dict[str, float], tuple[str, ...]]:
    fit = fit_curve_envelope(curves)
    line = {name: float(getattr(fit, name)) for name in ("a", "b", "params_coefficient", "tokens_coefficient")}
    draws, estimates = _at_budget(bootstrap_curve_envelope(curves, options.resampling), line, flops)
    return draws, estimates, fit.warnings


def _isoflop(
    profiles: Sequence[Profile], flops: float, cost: TokenCost, options: ApproachOptions
) -> tuple[Draws, dict[str, float], tuple[str, ...]]:
    fit = fit_isoflop(profiles)
    line = {name: float(getattr(fit, name)) for name in ("a", "b", "params_coefficient", "tokens_coefficient")}
    draws, estimates = _at_budget(bootstrap_isoflop(fit, cost, options.resampling), line, flops)
    notes = [note for profile in fit.accepted for note in profile.warnings]
    notes += [f"budget left out: {profile.refusal.message}" for profile in profiles if profile.refusal]
    return draws, estimates, tuple(notes)


def _surface(runs: Runs, options: ApproachOptions, projected: bool) -> FitResult | FitRefusedError:
    law, variables = LAWS["hoffmann"], {"N": runs.params, "D": runs.tokens}
    try:
        if projected:
            return fit_projected(law, variables, runs.loss, options.objective)
        return fit_law(law, variables, runs.loss, options.objective, options.starts)
    except FitRefusedError as refusal:
        return refusal


def _parametric(
    surface: FitResult | FitRefusedError, flops: float, cost: TokenCost, options: ApproachOptions
) -> Callable[[], tuple[Draws, dict[str, float], tuple[str, ...]]]:
    def make() -> tuple[Draws, dict[str, float], tuple[str, ...]]:
        if isinstance(surface, FitRefusedError):
            raise surface
        draws = bootstrap_law(surface, options.resampling)
        values = _optimum(draws.values, flops, cost) if draws.count else {}
        one = {name: np.array([value]) for name, value in (surface.parameters | surface.derived).items()}
        estimates = {name: float(value[0]) for name, value in _optimum(one, flops, cost).items()}
        return Draws(values, draws.resamples, draws.failed), estimates, surface.warnings

    return make


def _optimum(values: dict[str, Array], flops: float, cost: TokenCost) -> dict[str, Array]:
    names = LAWS["hoffmann"].parameter_names
    within = (float(cost.params.min()) / 1e4, float(cost.params.max()) * 1e8)
    params = optimal_params({name: values[name] for name in names}, np.asarray(flops), cost, within)
    tokens = flops / cost(params)
    pair = {"params": params, "tokens": tokens, "tokens_per_param": tokens / params}
    return {"a": values["a"], "b": values["b"]} | pair


def _bias(profiles: Sequence[Profile], surface: FitResult | None, cost: TokenCost) -> GridBias | None:
    try:
        return None if surface is None else grid_bias(profiles, surface.parameters, cost)
    except FitRefusedError:
        return None

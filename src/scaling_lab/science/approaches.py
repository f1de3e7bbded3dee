"""Chinchilla's three approaches and Kaplan's law on one table of runs: what each says of N*(C), D*(C), and how surely.

Every approach answers the same question: the slopes of N* and D* over the compute that was measured, and N*, D* at
the budgets asked for. Approaches 1 and 2 extend a power law to them, the laws of L(N, D) minimise their loss there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scaling_lab.science.bootstrap import BootstrapOptions, Draws, Interval, bootstrap_law, percentile_interval
from scaling_lab.science.curve_envelope import SMOOTHING, Curve, bootstrap_curve_envelope, fit_curve_envelope
from scaling_lab.science.fitting import FitResult, Objective, fit_law
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.isoflop import MINIMUM_SIZES, IsoFlopFit, Profile, TokenCost, fit_isoflop, fit_profile
from scaling_lab.science.isoflop_draws import bootstrap_isoflop
from scaling_lab.science.laws import LAWS, Array, Law
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.projection import fit_projected
from scaling_lab.science.refusal import FitRefusedError
from scaling_lab.science.valley import recentred, with_akima

SLOPE_POINTS = 9  # budgets, evenly spaced in log C, through which the slope of a law's N*(C) is taken
MINIMUM_DRAWS = 20


@dataclass(frozen=True)
class Runs:
    """A table of finished runs [n]: N, D, training FLOPs and loss in nats, N and C by conventions of the caller."""

    params: Array
    tokens: Array
    flops: Array
    loss: Array


@dataclass(frozen=True)
class Question:
    """Budgets [k] in FLOPs at which N* and D* are asked for. cost: FLOPs per token of N, within `params_range`."""

    budgets: Array
    cost: Callable[[Any], Array]
    params_range: tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A value and its interval; None with too few draws."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Allocation:
    """One approach: slopes a of N* and b of D* in log C, and params, tokens and tokens_per_param at every budget; or
    why it is refused. failed: refits of the bootstrap by reason."""

    approach: str
    exponents: dict[str, Estimate]
    optima: tuple[dict[str, Estimate], ...]
    resamples: int
    failed: dict[str, int]
    refusal: FitRefusedError | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Approaches:
    """All approaches to one question, the refused ones included."""

    budgets: Array
    level: float
    allocations: dict[str, Allocation]

    @property
    def disagreements(self) -> tuple[tuple[str, str], ...]:
        """Pairs of approaches whose intervals of a do not overlap."""
        spans = {name: x.exponents["a"].interval for name, x in self.allocations.items() if x.exponents}
        known = [(name, interval) for name, interval in spans.items() if interval is not None]
        return tuple(
            (first, second)
            for i, (first, x) in enumerate(known)
            for second, y in known[i + 1 :]
            if x.low > y.high or y.low > x.high
        )


@dataclass(frozen=True)
class ApproachOptions:
    """What the approaches share.

    starts: of the fit of Hoffmann's law, the published 4,500 by default. recentre: the factor around each vertex to
    which the parabolas are narrowed, where enough sizes are left. smoothing: of the training curves, in points.
    """

    objective: Objective = field(default_factory=Objective)
    resampling: BootstrapOptions = field(default_factory=BootstrapOptions)
    starts: Array | None = None
    recentre: float = 4.0
    smoothing: float = SMOOTHING


@dataclass(frozen=True)
class _Frontier:
    """Slopes [...] and optima [..., k] of an estimate or of its draws."""

    a: Array
    b: Array
    params: Array
    tokens: Array


_Answer = tuple[_Frontier, _Frontier, Draws, tuple[str, ...]]  # the estimate, its draws, the bootstrap, warnings


def compare_approaches(
    runs: Runs,
    question: Question,
    profiles: Sequence[Profile],
    cost: TokenCost,
    options: ApproachOptions | None = None,
    curves: Sequence[Curve] | None = None,
) -> Approaches:
    """Approach 1 (with `curves`), 2 by three ways to a minimum, 3 from two sets of starts, and Kaplan's L(N, D).

    profiles, cost: of the runs' budgets (`budget_profiles`). A refused approach is part of the answer.
    """
    chosen = options or ApproachOptions()
    hoffmann, kaplan = LAWS["hoffmann"], LAWS["kaplan"]
    variables = {"N": runs.params, "D": runs.tokens}
    span = measured_span(runs, profiles)

    def law(fit: Callable[[], FitResult]) -> _Answer:
        return _law(fit(), span, question, chosen)

    def isoflop(changed: Sequence[Profile]) -> _Answer:
        return _isoflop(fit_isoflop(changed), cost, question, chosen)

    makers: dict[str, Callable[[], _Answer]] = {
        "isoflop_parabola": lambda: isoflop(profiles),
        "isoflop_recentred": lambda: isoflop([recentred(p, cost, chosen.recentre) for p in profiles]),
        "isoflop_akima": lambda: isoflop([with_akima(p, cost) for p in profiles]),
        "parametric": lambda: law(lambda: fit_law(hoffmann, variables, runs.loss, chosen.objective, chosen.starts)),
        "variable_projection": lambda: law(lambda: fit_projected(hoffmann, variables, runs.loss, chosen.objective)),
        "kaplan": lambda: law(lambda: fit_projected(kaplan, variables, runs.loss, chosen.objective)),
    }
    if curves is not None:
        makers = {"envelope": lambda: _envelope(curves, question, chosen)} | makers
    level = chosen.resampling.level
    return Approaches(question.budgets, level, {name: _allocation(name, make, level) for name, make in makers.items()})


def budget_profiles(runs: Runs, cost: TokenCost) -> list[Profile]:
    """One profile per budget that was spent on at least four sizes, cheapest first."""
    groups, profiles = groups_of(runs.flops), []
    for group in np.unique(groups):
        members = groups == group
        if len(np.unique(runs.params[members])) >= MINIMUM_SIZES:
            budget = float(np.exp(np.mean(np.log(runs.flops[members]))))
            profiles.append(fit_profile(budget, runs.params[members], runs.loss[members], cost))
    return profiles


def law_frontier(
    law: Law, parameters: Mapping[str, Any], span: tuple[float, float], question: Question
) -> dict[str, Array]:
    """a, b [...] and params, tokens [..., k] of a law of N and D whose parameters are numbers or draws [...].

    a and b are slopes in log C over `span`, FLOPs: where cost is 6 N, Hoffmann's beta / (alpha + beta) and, of
    Kaplan's Eq 1.5, alpha_D / (alpha_N + alpha_D).
    """
    grid = np.geomspace(*span, SLOPE_POINTS) if span[1] > span[0] else span[0] * np.geomspace(0.5, 2, SLOPE_POINTS)
    values = {name: np.asarray(parameters[name])[..., None] for name in law.parameter_names}
    flops = np.concatenate([grid, question.budgets])
    best = numerical_optimum(values, flops, question.cost, question.params_range, law.function)
    a, _ = fit_power_line(grid, best.params[..., :SLOPE_POINTS])
    b, _ = fit_power_line(grid, best.tokens[..., :SLOPE_POINTS])
    return {"a": a, "b": b, "params": best.params[..., SLOPE_POINTS:], "tokens": best.tokens[..., SLOPE_POINTS:]}


def measured_span(runs: Runs, profiles: Sequence[Profile]) -> tuple[float, float]:
    """The compute over which slopes are taken: that of the profiles, so that all approaches say the same thing of it;
    of all runs where there are fewer than two."""
    flops = np.array([profile.flops for profile in profiles]) if len(profiles) > 1 else runs.flops
    return float(flops.min()), float(flops.max())


def _allocation(name: str, make: Callable[[], _Answer], level: float) -> Allocation:
    try:
        best, drawn, draws, warnings = make()
    except FitRefusedError as refusal:
        return Allocation(name, {}, (), 0, {}, refusal)

    def of(value: Array, values: Array) -> Estimate:
        return Estimate(float(value), percentile_interval(values, level) if draws.count >= MINIMUM_DRAWS else None)

    optima = tuple(
        {
            "params": of(best.params[i], drawn.params[:, i]),
            "tokens": of(best.tokens[i], drawn.tokens[:, i]),
            "tokens_per_param": of(best.tokens[i] / best.params[i], drawn.tokens[:, i] / drawn.params[:, i]),
        }
        for i in range(len(best.params))
    )
    exponents = {"a": of(best.a, drawn.a), "b": of(best.b, drawn.b)}
    return Allocation(name, exponents, optima, draws.resamples, draws.failed, None, warnings)


def _on_lines(values: Mapping[str, Any], budgets: Array) -> _Frontier:
    """Power laws N* = params_coefficient C^a and D* = tokens_coefficient C^b at the budgets."""
    names = ("a", "b", "params_coefficient", "tokens_coefficient")
    a, b, of_params, of_tokens = (np.asarray(values[name], dtype=np.float64) for name in names)
    params = of_params[..., None] * budgets ** a[..., None]
    return _Frontier(a, b, params, of_tokens[..., None] * budgets ** b[..., None])


def _envelope(curves: Sequence[Curve], question: Question, options: ApproachOptions) -> _Answer:
    fit = fit_curve_envelope(curves, options.smoothing)
    draws = bootstrap_curve_envelope(curves, options.resampling, options.smoothing)
    return _on_lines(vars(fit), question.budgets), _on_lines(draws.values, question.budgets), draws, fit.warnings


def _isoflop(fit: IsoFlopFit, cost: TokenCost, question: Question, options: ApproachOptions) -> _Answer:
    draws = bootstrap_isoflop(fit, cost, options.resampling)
    # What a profile warns of concerns its parabola.
    notes = [note for profile in fit.accepted if profile.method == "parabola" for note in profile.warnings]
    notes += [f"budget left out: {profile.refusal.message}" for profile in fit.profiles if profile.refusal]
    return _on_lines(vars(fit), question.budgets), _on_lines(draws.values, question.budgets), draws, tuple(notes)


def _law(fit: FitResult, span: tuple[float, float], question: Question, options: ApproachOptions) -> _Answer:
    draws = bootstrap_law(fit, options.resampling)
    best = _Frontier(**law_frontier(fit.law, fit.parameters, span, question))
    return best, _Frontier(**law_frontier(fit.law, draws.values, span, question)), draws, fit.warnings

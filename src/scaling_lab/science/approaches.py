"""Chinchilla's three approaches and Kaplan's law on one table of runs: what each says of N*(C), D*(C), and how surely.

Every approach answers the same question: the slopes of N* and D* over the compute that was measured, and N*, D* at
the budgets asked for. Approaches 1 and 2 extend the power law N*(C) to them, the laws of L(N, D) minimise their loss
there; D* is what the budget pays for at N*, so that every answer costs the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scaling_lab.science.allocation import (
    Allocation,
    Approaches,
    Frontier,
    Question,
    allocation_of,
    law_frontier,
    line_frontier,
)
from scaling_lab.science.bootstrap import BootstrapOptions, Draws, bootstrap_law
from scaling_lab.science.curve_envelope import SMOOTHING, Curve, bootstrap_curve_envelope, fit_curve_envelope
from scaling_lab.science.fitting import FitResult, Objective, fit_law
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.isoflop import MINIMUM_SIZES, IsoFlopFit, Profile, TokenCost, fit_isoflop, fit_profile
from scaling_lab.science.isoflop_draws import bootstrap_isoflop
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.projection import fit_projected
from scaling_lab.science.refusal import FitRefusedError
from scaling_lab.science.valley import recentred, with_akima


@dataclass(frozen=True)
class Runs:
    """A table of finished runs [n]: N, D, training FLOPs and loss in nats, N and C by conventions of the caller."""

    params: Array
    tokens: Array
    flops: Array
    loss: Array


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


_Answer = tuple[Frontier, Frontier, Draws, tuple[str, ...]]  # the estimate, its draws, the bootstrap, warnings


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

    def isoflop(changed: Sequence[Profile], *notes: str) -> _Answer:
        return _isoflop(fit_isoflop(changed), cost, question, chosen, notes)

    makers: dict[str, Callable[[], _Answer]] = {
        "isoflop_parabola": lambda: isoflop(profiles),
        "isoflop_recentred": lambda: isoflop(*_recentred(profiles, cost, chosen.recentre)),
        "isoflop_akima": lambda: isoflop([with_akima(p, cost) for p in profiles]),
        "parametric": lambda: law(lambda: fit_law(hoffmann, variables, runs.loss, chosen.objective, chosen.starts)),
        "variable_projection": lambda: law(lambda: fit_projected(hoffmann, variables, runs.loss, chosen.objective)),
        "kaplan": lambda: law(lambda: fit_projected(kaplan, variables, runs.loss, chosen.objective)),
    }
    if curves is not None:
        makers = {"envelope": lambda: _envelope(curves, question, chosen)} | makers
    level = chosen.resampling.level
    return Approaches(question.budgets, level, {name: _answer(name, make, level) for name, make in makers.items()})


def budget_profiles(runs: Runs, cost: TokenCost) -> list[Profile]:
    """One profile per budget that was spent on at least four sizes, cheapest first."""
    groups, profiles = groups_of(runs.flops), []
    for group in np.unique(groups):
        members = groups == group
        if len(np.unique(runs.params[members])) >= MINIMUM_SIZES:
            budget = float(np.exp(np.mean(np.log(runs.flops[members]))))
            profiles.append(fit_profile(budget, runs.params[members], runs.loss[members], cost))
    return profiles


def measured_span(runs: Runs, profiles: Sequence[Profile]) -> tuple[float, float]:
    """The compute over which slopes are taken: that of the profiles, so that all approaches say the same thing of it;
    of all runs where there are fewer than two."""
    flops = np.array([profile.flops for profile in profiles]) if len(profiles) > 1 else runs.flops
    return float(flops.min()), float(flops.max())


def _answer(name: str, make: Callable[[], _Answer], level: float) -> Allocation:
    try:
        best, drawn, draws, warnings = make()
    except FitRefusedError as refusal:
        return Allocation(name, {}, (), 0, {}, refusal)
    return allocation_of(name, best, drawn, draws, level, warnings)


def _envelope(curves: Sequence[Curve], question: Question, options: ApproachOptions) -> _Answer:
    fit = fit_curve_envelope(curves, options.smoothing)
    draws = bootstrap_curve_envelope(curves, options.resampling, options.smoothing)
    return line_frontier(vars(fit), question), line_frontier(draws.values, question), draws, fit.warnings


def _recentred(profiles: Sequence[Profile], cost: TokenCost, factor: float) -> tuple[Any, ...]:
    """The narrowed profiles, and a note where none of them could be narrowed."""
    narrow = [recentred(profile, cost, factor) for profile in profiles]
    if any(new is not old for new, old in zip(narrow, profiles, strict=True)):
        return (narrow,)
    return narrow, f"no budget has five sizes within a factor {factor:g} of its minimum: the parabolas are unchanged"


def _isoflop(
    fit: IsoFlopFit, cost: TokenCost, question: Question, options: ApproachOptions, extra: Sequence[str]
) -> _Answer:
    draws = bootstrap_isoflop(fit, cost, options.resampling)
    # What a profile warns of concerns its parabola.
    notes = [*extra]
    notes += [note for profile in fit.accepted if profile.method == "parabola" for note in profile.warnings]
    notes += [f"budget left out: {profile.refusal.message}" for profile in fit.profiles if profile.refusal]
    return line_frontier(vars(fit), question), line_frontier(draws.values, question), draws, tuple(notes)


def _law(fit: FitResult, span: tuple[float, float], question: Question, options: ApproachOptions) -> _Answer:
    draws = bootstrap_law(fit, options.resampling)
    best = law_frontier(fit.law, fit.parameters, span, question)
    return best, law_frontier(fit.law, draws.values, span, question), draws, fit.warnings

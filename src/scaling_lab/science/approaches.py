"""Chinchilla's three approaches and Kaplan's law on one table of runs: what each says of N*(C), D*(C), and how surely.

Every approach answers the same question: the slopes of N* and D* over the compute that was measured, and N*, D* at
the budgets asked for. Approaches 1 and 2 extend the power law N*(C) to them, the laws of L(N, D) minimise their loss
there; D* is what the budget pays for at N*, so that every answer costs the same. Each stands with two intervals, that
of exact laws and, with `resampling.departure`, that of losses that depart from them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.allocation import (
    Allocation,
    Answer,
    Approaches,
    Frontier,
    Question,
    allocation_of,
    answer_of,
    law_frontier,
    line_frontier,
)
from scaling_lab.science.bootstrap import BootstrapOptions, Draws, bootstrap_law
from scaling_lab.science.curve_envelope import SMOOTHING, Curve, bootstrap_curve_envelope, fit_curve_envelope
from scaling_lab.science.departed_line import bends_of
from scaling_lab.science.fitting import FitResult, Objective, fit_law
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.interpolated import interpolated_profiles, reachable_budgets
from scaling_lab.science.isoflop import (
    MINIMUM_SIZES,
    IsoFlopFit,
    Profile,
    TokenCost,
    fit_isoflop,
    fit_profile,
)
from scaling_lab.science.isoflop_draws import bootstrap_isoflop
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.projection import fit_projected
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.runs import Runs
from scaling_lab.science.valley import recentred, with_akima

NAMES = (
    "envelope", "isoflop_parabola", "isoflop_recentred", "isoflop_akima", "parametric", "variable_projection", "kaplan",
    "kaplan_steps",
)  # fmt: skip
VALLEYS = 9  # budgets at which the valleys of runs of other costs are looked at
WARMUP, TRAINING_POINTS = 0.2, 6  # share of a curve that is left out of L(N, S), and its points that are used


class LawDraws:
    """Bootstraps by fit: equal fits of equal runs, reached from other starts or asked other questions, share one."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Draws] = {}

    def of(self, fit: FitResult, options: BootstrapOptions, clusters: NDArray[np.intp] | None = None) -> Draws:
        """`bootstrap_law`, made once."""
        runs = (*(values.tobytes() for values in fit.variables.values()), fit.loss.tobytes())
        key = (fit.law.name, *(f"{value:.4g}" for value in fit.parameters.values()), *runs, options)
        if key not in self._known:
            self._known[key] = bootstrap_law(fit, options, clusters)
        return self._known[key]


@dataclass(frozen=True)
class ApproachOptions:
    """What the approaches share.

    starts: of the fit of Hoffmann's law, the published 4,500 by default. recentre: the factor around each vertex to
    which the parabolas are narrowed, where enough sizes are left. smoothing: of the training curves, in points. draws:
    those of laws that were resampled before, for answers to several questions of the same runs.
    """

    objective: Objective = field(default_factory=Objective)
    resampling: BootstrapOptions = field(default_factory=BootstrapOptions)
    starts: Array | None = None
    recentre: float = 4.0
    smoothing: float = SMOOTHING
    draws: LawDraws = field(default_factory=LawDraws)


def compare_approaches(
    runs: Runs,
    question: Question,
    profiles: Sequence[Profile],
    cost: TokenCost,
    options: ApproachOptions | None = None,
    curves: Sequence[Curve] | None = None,
    only: Collection[str] | None = None,
) -> Approaches:
    """Approach 1, 2 by three ways to a minimum, 3 from two sets of starts, Kaplan's L(N, D) and L(N, S).

    The first and the last need `curves`. only: names of the approaches that are asked; all by default.

    profiles, cost: of the runs' budgets (`budget_profiles`). A refused approach is part of the answer.
    """
    chosen = options or ApproachOptions()
    hoffmann, kaplan = LAWS["hoffmann"], LAWS["kaplan"]
    variables = {"N": runs.params, "D": runs.tokens}
    span = measured_span(runs, profiles)

    def law(fit: Callable[[], FitResult]) -> Answer:
        return law_answer(fit(), span, question, chosen)

    def steps() -> Answer:
        return _training_law(curves or (), span, question, chosen)

    def isoflop(changed: Sequence[Profile], *notes: str) -> Answer:
        return _isoflop(fit_isoflop(changed), cost, question, chosen, notes)

    makers: dict[str, Callable[[], Answer]] = {
        "isoflop_parabola": lambda: isoflop(profiles),
        "isoflop_recentred": lambda: isoflop(*_recentred(profiles, cost, chosen.recentre)),
        "isoflop_akima": lambda: isoflop([with_akima(p, cost) for p in profiles]),
        "parametric": lambda: law(lambda: fit_law(hoffmann, variables, runs.loss, chosen.objective, chosen.starts)),
        "variable_projection": lambda: law(lambda: fit_projected(hoffmann, variables, runs.loss, chosen.objective)),
        "kaplan": lambda: law(lambda: fit_projected(kaplan, variables, runs.loss, chosen.objective)),
    }
    if curves is not None:
        valleys = _valleys(runs, profiles, cost)
        makers = {"envelope": lambda: _envelope(curves, valleys, question, chosen)} | makers | {"kaplan_steps": steps}
    level, asked = chosen.resampling.level, makers.keys() if only is None else only
    answers = {name: _answer(name, make, level) for name, make in makers.items() if name in asked}
    return Approaches(question.budgets, level, answers)


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


def _answer(name: str, make: Callable[[], Answer], level: float) -> Allocation:
    try:
        answer = make()
    except FitRefusedError as refusal:
        return Allocation(name, {}, (), 0, {}, refusal)
    return allocation_of(name, answer, level)


def _envelope(
    curves: Sequence[Curve], valleys: Sequence[Profile], question: Question, options: ApproachOptions
) -> Answer:
    """valleys: profiles of the runs, which show how far a departure moves the best size; curves show only whose is."""
    fit, bends = fit_curve_envelope(curves, options.smoothing), bends_of(valleys)

    def draw(resampling: BootstrapOptions) -> Draws:
        draws = bootstrap_curve_envelope(curves, resampling, options.smoothing)
        return replace(draws, values=draws.values | {name: np.full(draws.count, bends[name]) for name in bends})

    notes = (*fit.warnings, *_unmoved(bends, options))
    return answer_of(vars(fit), draw, lambda values: line_frontier(values, question), options.resampling, notes)


def _unmoved(bends: Mapping[str, float], options: ApproachOptions) -> list[str]:
    if bends or not options.resampling.departure:
        return []
    return ["no budget shows how steep its valley is: a departure moves the power law, but not N* at a budget off it"]


def _valleys(runs: Runs, profiles: Sequence[Profile], cost: TokenCost) -> Sequence[Profile]:
    """The budgets that were trained, or else those at which sizes trained at other costs can be interpolated."""
    return profiles or interpolated_profiles(runs, reachable_budgets(runs, VALLEYS), cost)


def _recentred(profiles: Sequence[Profile], cost: TokenCost, factor: float) -> tuple[Any, ...]:
    """The narrowed profiles, and a note where none of them could be narrowed."""
    narrow = [recentred(profile, cost, factor) for profile in profiles]
    if any(new is not old for new, old in zip(narrow, profiles, strict=True)):
        return (narrow,)
    return narrow, f"no budget has five sizes within a factor {factor:g} of its minimum: the parabolas are unchanged"


def _isoflop(
    fit: IsoFlopFit, cost: TokenCost, question: Question, options: ApproachOptions, extra: Sequence[str]
) -> Answer:
    # What a profile warns of concerns its parabola.
    notes = [*extra, *_unmoved(bends_of(fit.accepted), options)]
    notes += [note for profile in fit.accepted if profile.method == "parabola" for note in profile.warnings]
    notes += [f"budget left out: {profile.refusal.message}" for profile in fit.profiles if profile.refusal]

    def draw(resampling: BootstrapOptions) -> Draws:
        return bootstrap_isoflop(fit, cost, resampling)

    return answer_of(vars(fit), draw, lambda values: line_frontier(values, question), options.resampling, tuple(notes))


def _training_law(
    curves: Sequence[Curve], span: tuple[float, float], question: Question, options: ApproachOptions
) -> Answer:
    """Kaplan's frontier: N that minimises L(N, S) at C = 6 N B S (2020, Eq 1.6 and appendix B), B constant.

    S is counted in tokens, so that runs of different batches can stand in one law; runs are drawn whole.
    """
    law = LAWS["kaplan_steps"]
    if len(curves) <= len(law.parameters):
        message = f"{len(curves)} training curves for the {len(law.parameters)} parameters of {law.name}"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{message}; at least {len(law.parameters) + 1} are needed")
    variables, loss, run = _training_points(curves)
    return law_answer(fit_projected(law, variables, loss, options.objective), span, question, options, run)


def _training_points(curves: Sequence[Curve]) -> tuple[dict[str, Array], Array, NDArray[np.intp]]:
    """N, tokens and loss of every curve after its warmup, at points evenly spaced in log tokens; and their curves."""
    params, tokens, loss, run = [], [], [], []
    for index, curve in enumerate(curves):
        wanted = np.geomspace(WARMUP * curve.tokens[-1], curve.tokens[-1], TRAINING_POINTS)
        nearest = np.unique(np.abs(np.log(curve.tokens[:, None] / wanted)).argmin(axis=0))
        params.append(np.full(len(nearest), curve.params))
        tokens.append(curve.tokens[nearest])
        loss.append(curve.loss[nearest])
        run.append(np.full(len(nearest), index, dtype=np.intp))
    return {"N": np.concatenate(params), "S": np.concatenate(tokens)}, np.concatenate(loss), np.concatenate(run)


def law_answer(
    fit: FitResult,
    span: tuple[float, float],
    question: Question,
    options: ApproachOptions,
    clusters: NDArray[np.intp] | None = None,
) -> Answer:
    """The answer of a law; the runs are drawn by `clusters`."""

    def draw(resampling: BootstrapOptions) -> Draws:
        return options.draws.of(fit, resampling, clusters)

    def frontier(values: Mapping[str, Any]) -> Frontier:
        return law_frontier(fit.law, values, span, question)

    return answer_of(fit.parameters, draw, frontier, options.resampling, fit.warnings)

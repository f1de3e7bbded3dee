"""Why two approaches disagree: each known cause is taken away by a computation, and the two are compared again.

The causes are those of papers.md, section E: a grid off its centre, a law without an offset, losses from the middle of
a schedule, and what N and C count; and that no law is exact. A cause explains a disagreement where, without it, the
intervals overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scaling_lab.science.allocation import (
    Allocation,
    Approaches,
    Disagreement,
    Estimate,
    Question,
    allocation_of,
)
from scaling_lab.science.approaches import ApproachOptions, law_answer
from scaling_lab.science.bootstrap import Interval
from scaling_lab.science.fitting import fit_law
from scaling_lab.science.fixing import fix_parameters
from scaling_lab.science.isoflop import Profile, TokenCost
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.projection import fit_projected
from scaling_lab.science.refusal import FitRefusedError
from scaling_lab.science.runs import Runs
from scaling_lab.science.valley import grid_bias

Remedy = Callable[[Allocation], Allocation | None]
"""An approach's answer without a cause; None where the cause does not concern it."""


@dataclass(frozen=True)
class Trial:
    """One cause taken away: what the two then say of a, and whether they still contradict each other."""

    cause: str
    computation: str
    first: Estimate | None
    second: Estimate | None
    explains: bool


@dataclass(frozen=True)
class Explanation:
    """A disagreement and every cause that was tried on it."""

    first: str
    second: str
    trials: tuple[Trial, ...]

    @property
    def causes(self) -> tuple[str, ...]:
        """Those that explain it."""
        return tuple(trial.cause for trial in self.trials if trial.explains)


def try_remedies(
    pair: Disagreement, answer: Approaches, remedies: Mapping[str, tuple[str, Remedy]]
) -> tuple[Trial, ...]:
    """Every remedy that concerns one of the two; each has a name and says what it computes."""
    trials = []
    for cause, (computation, remedy) in remedies.items():
        old = [answer.allocations[name] for name in (pair.first, pair.second)]
        new = [remedy(allocation) for allocation in old]
        if any(new):
            trials.append(_trial(cause, computation, [n or o for n, o in zip(new, old, strict=True)], answer))
    return tuple(trials)


def try_reading(pair: Disagreement, answer: Approaches, words: str) -> Trial | None:
    """The same two approaches in an answer by other counts of N and C; None where one is refused there."""
    both = [answer.allocations[name] for name in (pair.first, pair.second)]
    return None if any(one.refusal for one in both) else _trial("convention", words, both, answer)


def try_departure(pair: Disagreement, answer: Approaches) -> Trial:
    """The same two where losses are believed to depart from every law: which interval is asked, nothing else."""
    both = [answer.allocations[name].exponents["a"] for name in (pair.first, pair.second)]
    first, second = (replace(estimate, interval=estimate.interval_departed) for estimate in both)
    words = "intervals that contain a smooth departure of the losses from their law"
    return Trial("departure", words, first, second, not (pair.departed_exponent or pair.departed_budgets))


def without_grid_bias(profiles: Sequence[Profile], cost: TokenCost, runs: Runs, question: Question) -> Remedy:
    """IsoFLOP answers less what parabolas on these sizes would get wrong of Hoffmann's law, if it were exact (E.9)."""

    def remedy(found: Allocation) -> Allocation | None:
        if not found.approach.startswith("isoflop"):
            return None
        try:
            surface = fit_projected(LAWS["hoffmann"], {"N": runs.params, "D": runs.tokens}, runs.loss)
            bias = grid_bias(profiles, surface.law, surface.parameters, cost)
        except FitRefusedError:
            return None
        slope, level = fit_power_line(bias.flops, bias.ratio)
        factors = 1 / (level * question.budgets**slope)
        optima = tuple(
            optimum | {"params": _scaled(optimum["params"], float(factor))}
            for optimum, factor in zip(found.optima, factors, strict=True)
        )
        return replace(found, optima=optima, exponents={"a": _shifted(found.exponents["a"], -bias.exponent_shift)})

    return remedy


def without_offset(runs: Runs, span: tuple[float, float], question: Question, options: ApproachOptions) -> Remedy:
    """Hoffmann's law with E = 0, as Kaplan's has none (E.23)."""
    law = fix_parameters(LAWS["hoffmann"], {"E": 0.0})

    def remedy(found: Allocation) -> Allocation | None:
        if found.approach not in ("parametric", "variable_projection"):
            return None
        try:
            fit = fit_law(law, {"N": runs.params, "D": runs.tokens}, runs.loss, options.objective)
        except FitRefusedError:
            return None
        answer = replace(law_answer(fit, span, question, options), warnings=())
        return allocation_of(found.approach, answer, options.resampling.level)

    return remedy


def by_another_answer(names: Sequence[str], other: Callable[[str], Allocation]) -> Remedy:
    """What `other` says of an approach's name, for the approaches `names`; nothing where it is refused."""

    def remedy(found: Allocation) -> Allocation | None:
        if found.approach not in names:
            return None
        instead = other(found.approach)
        return None if instead.refusal else instead

    return remedy


def _trial(cause: str, computation: str, both: Sequence[Allocation], answer: Approaches) -> Trial:
    first, second = both
    left = Approaches(answer.budgets, answer.level, {"first": first, "second": second}).disagreements
    return Trial(cause, computation, first.exponents.get("a"), second.exponents.get("a"), not left)


def _shifted(estimate: Estimate, shift: float) -> Estimate:
    return _mapped(estimate, lambda value: value + shift)


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    return _mapped(estimate, lambda value: value * factor)


def _mapped(estimate: Estimate, change: Callable[[Array], Array]) -> Estimate:
    def of(interval: Interval | None) -> Interval | None:
        if interval is None:
            return None
        low, high = (float(end) for end in change(np.array([interval.low, interval.high])))
        return Interval(interval.level, low, high)

    value = float(change(np.array(estimate.value)))
    return Estimate(value, of(estimate.interval), of(estimate.interval_departed))

"""What an approach says of N*(C) and D*(C): the question, the frontier, and the answer with its intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from scaling_lab.science.bootstrap import BootstrapOptions, Draws, Interval, exact_and_departing, percentile_interval
from scaling_lab.science.departed_line import best_on_line
from scaling_lab.science.departure import law_of_draws
from scaling_lab.science.laws import Array, Law
from scaling_lab.science.optimum import Optimum, numerical_optimum
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError

SLOPE_POINTS = 9  # budgets, evenly spaced in log C, through which the slope of a law's N*(C) is taken
MINIMUM_DRAWS = 20


@dataclass(frozen=True)
class Question:
    """Budgets [k] in FLOPs at which N* and D* are asked for. cost: FLOPs per token of N, within `params_range`."""

    budgets: Array
    cost: Callable[[Any], Array]
    params_range: tuple[float, float]


@dataclass(frozen=True)
class Frontier:
    """Slopes [...] and optima [..., k] of an estimate or of its draws."""

    a: Array
    b: Array
    params: Array
    tokens: Array


@dataclass(frozen=True)
class Estimate:
    """A value and its intervals: where the law of losses is exact, and where they depart from it (`departure.py`); None
    with too few draws."""

    value: float
    interval: Interval | None
    interval_departed: Interval | None


@dataclass(frozen=True)
class Answer:
    """An approach's frontier, and those of its draws where losses follow a law and where they depart from it."""

    best: Frontier
    exact: Frontier
    departed: Frontier
    draws: Draws  # of the exact law
    departing: Draws
    warnings: tuple[str, ...] = ()


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
class Disagreement:
    """Two approaches whose intervals do not overlap: those of a, or those of N* at some `budgets`.

    The intervals are those of exact laws; departed_exponent, departed_budgets: where those that contain a departure do
    not overlap either.
    """

    first: str
    second: str
    exponent: bool
    budgets: tuple[float, ...]
    departed_exponent: bool = False
    departed_budgets: tuple[float, ...] = ()


@dataclass(frozen=True)
class Approaches:
    """All approaches to one question, the refused ones included."""

    budgets: Array
    level: float
    allocations: dict[str, Allocation]

    @classmethod
    def refused(cls, names: Sequence[str], budgets: Array, level: float, refusal: FitRefusedError) -> Approaches:
        """The answer where one reason speaks against all of them."""
        return cls(budgets, level, {name: Allocation(name, {}, (), 0, {}, refusal) for name in names})

    @property
    def disagreements(self) -> tuple[Disagreement, ...]:
        """Every pair of approaches that contradict each other if their laws are exact."""
        found = []
        for x, y in combinations([x for x in self.allocations.values() if x.refusal is None], 2):
            exponent, budgets = self._contradictions(x, y, "interval")
            if exponent or budgets:
                departed = self._contradictions(x, y, "interval_departed")
                found.append(Disagreement(x.approach, y.approach, exponent, budgets, *departed))
        return tuple(found)

    def _contradictions(self, x: Allocation, y: Allocation, kind: str) -> tuple[bool, tuple[float, ...]]:
        """Whether intervals of one kind of a do not overlap, and the budgets where those of N* do not."""

        def apart(one: Estimate, other: Estimate) -> bool:
            return disjoint(getattr(one, kind), getattr(other, kind))

        sizes = zip(self.budgets, x.optima, y.optima, strict=True)
        budgets = tuple(float(flops) for flops, of_x, of_y in sizes if apart(of_x["params"], of_y["params"]))
        return apart(x.exponents["a"], y.exponents["a"]), budgets


def law_frontier(law: Law, parameters: Mapping[str, Any], span: tuple[float, float], question: Question) -> Frontier:
    """The frontier of a law of N and D whose parameters are numbers or draws [...]; departures are taken off.

    a and b are slopes of the law itself, without departures, in log C over `span`, FLOPs: where cost is 6 N, Hoffmann's
    beta / (alpha + beta) and, of Kaplan's Eq 1.5, alpha_D / (alpha_N + alpha_D).
    """

    def optima(law: Law, flops: Array) -> Optimum:
        values = {name: np.asarray(parameters[name])[..., None] for name in law.parameter_names}
        return numerical_optimum(values, flops, question.cost, question.params_range, law.function)

    grid = np.geomspace(*span, SLOPE_POINTS) if span[1] > span[0] else span[0] * np.geomspace(0.5, 2, SLOPE_POINTS)
    measured, decided = optima(law, grid), optima(law_of_draws(law, parameters), question.budgets)
    a, _ = fit_power_line(grid, measured.params)
    b, _ = fit_power_line(grid, measured.tokens)
    return Frontier(a, b, decided.params, decided.tokens)


def line_frontier(values: Mapping[str, Any], question: Question) -> Frontier:
    """The power law N* = params_coefficient C^a at the budgets, departures taken off, and the tokens that each budget
    pays for there."""
    a, b = (np.asarray(values[name], dtype=np.float64) for name in ("a", "b"))
    params = best_on_line(values, question.budgets, question.cost, question.params_range)
    return Frontier(a, b, params, question.budgets / question.cost(params))


def answer_of(
    best: Mapping[str, Any],
    draw: Callable[[BootstrapOptions], Draws],
    frontier: Callable[[Mapping[str, Any]], Frontier],
    resampling: BootstrapOptions,
    warnings: tuple[str, ...] = (),
) -> Answer:
    """The answer from the parameters of an estimate, its bootstrap, and the frontier that parameters or draws have."""
    draws, departing = exact_and_departing(draw, resampling)
    return Answer(frontier(best), frontier(draws.values), frontier(departing.values), draws, departing, warnings)


def allocation_of(name: str, answer: Answer, level: float) -> Allocation:
    """The answer of an approach as estimates with intervals."""
    best, kinds = answer.best, ((answer.exact, answer.draws), (answer.departed, answer.departing))

    def of(quantity: Callable[[Frontier], Array]) -> Estimate:
        intervals = (
            percentile_interval(quantity(drawn), level) if draws.count >= MINIMUM_DRAWS else None
            for drawn, draws in kinds
        )
        return Estimate(float(quantity(best)), *intervals)

    def optimum(budget: int) -> dict[str, Estimate]:
        return {
            "params": of(lambda frontier: frontier.params[..., budget]),
            "tokens": of(lambda frontier: frontier.tokens[..., budget]),
            "tokens_per_param": of(lambda frontier: frontier.tokens[..., budget] / frontier.params[..., budget]),
        }

    optima = tuple(optimum(budget) for budget in range(len(best.params)))
    exponents = {"a": of(lambda frontier: frontier.a), "b": of(lambda frontier: frontier.b)}
    return Allocation(name, exponents, optima, answer.draws.resamples, answer.draws.failed, None, answer.warnings)


def disjoint(x: Interval | None, y: Interval | None) -> bool:
    """Whether two intervals do not overlap."""
    return x is not None and y is not None and (x.low > y.high or y.low > x.high)

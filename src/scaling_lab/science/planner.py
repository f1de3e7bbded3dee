"""The compute-optimal model of a budget, with what is not known about it: intervals, regret, extrapolation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.science.bootstrap import Interval, percentile_interval
from scaling_lab.science.departure import law_of_draws
from scaling_lab.science.laws import LAWS, Array, Law
from scaling_lab.science.optimum import Optimum, numerical_optimum

LEVELS = (0.8, 0.95)
REGRET_RANGE, REGRET_POINTS, REGRET_DRAWS = 8.0, 25, 200
FRONTIER_DEPTH, FRONTIER_POINTS = 100.0, 61
MINIMUM_DRAWS = 20


@dataclass(frozen=True)
class FittedLaw:
    """A law of N and D with its draws [n], departures included, and the log residuals of its runs, inflated for its
    parameters."""

    parameters: Mapping[str, float]
    draws: Mapping[str, Array]
    residuals: Array
    law: Law = LAWS["hoffmann"]

    @property
    def drawn(self) -> Law:
        """The law whose parameters the draws are."""
        return law_of_draws(self.law, self.draws)

    def of_draws(self) -> dict[str, Array]:
        """The draws of the parameters of `drawn`."""
        return {name: self.draws[name] for name in self.drawn.parameter_names}

    def refits(self) -> dict[str, Array]:
        """The draws of the law's own parameters: departures misled them, but are not taken off."""
        return {name: self.draws[name] for name in self.law.parameter_names}


@dataclass(frozen=True)
class Quantity:
    """A value and its intervals, narrowest first."""

    value: float
    intervals: tuple[Interval, ...]


@dataclass(frozen=True)
class Regret:
    """What another size costs at the same budget, over the draws: [n] each.

    `loss` is in nats above each draw's own optimum; `compute_percent` is the share of the budget wasted: by how much
    the budget exceeds the one that would reach the same loss at its optimal size. NaN where it exceeds a factor 100.
    """

    params: Array
    loss: Array
    loss_high: Array
    compute_percent: Array
    compute_percent_high: Array
    level: float


@dataclass(frozen=True)
class BudgetPlan:
    """N*, D*, D*/N* and the loss of one new run at the optimum; `edge_share` of the draws had no interior optimum.

    `drawn` holds each draw's own optimum and `losses` the draws of the new run's loss: from them follows whatever
    depends on the optimum.
    """

    flops: float
    params: Quantity
    tokens: Quantity
    tokens_per_param: Quantity
    loss: Quantity
    regret: Regret
    edge_share: float
    drawn: Optimum
    losses: Array


def plan_budget(
    law: FittedLaw,
    flops: float,
    flops_per_token: Callable[[Array], Array],
    params_range: tuple[float, float],
    seed: int,
) -> BudgetPlan:
    """The compute-optimal point of `flops`, where D = flops / flops_per_token(N).

    The loss interval is that of a new run: parameter draws at their own optimum, and a resampled residual.
    """
    bounds = _sensible_range(flops, flops_per_token, params_range)
    best = numerical_optimum(dict(law.parameters), flops, flops_per_token, bounds, law.law.function)
    drawn = numerical_optimum(law.of_draws(), flops, flops_per_token, bounds, law.drawn.function)
    size, data = float(best.params), float(best.tokens)
    losses = predicted_losses(law, size, data, seed)
    return BudgetPlan(
        flops=flops,
        params=quantity(size, drawn.params),
        tokens=quantity(data, drawn.tokens),
        tokens_per_param=quantity(data / size, drawn.tokens / drawn.params),
        loss=quantity(float(best.loss), losses),
        regret=size_regret(law, flops, size, flops_per_token, bounds),
        edge_share=float(np.mean(drawn.at_edge)),
        drawn=drawn,
        losses=losses,
    )


def predicted_losses(law: FittedLaw, params: float, tokens: float, seed: int) -> Array:
    """Draws of the loss of a new run of `params` parameters on `tokens` tokens."""
    return with_run_noise(law, law.drawn.predict(law.draws, {"N": params, "D": tokens}), seed)


def with_run_noise(law: FittedLaw, losses: Array, seed: int) -> Array:
    """Losses as single runs would show them: each with a residual of the fit, resampled."""
    return np.asarray(losses * np.exp(np.random.default_rng(seed).choice(law.residuals, size=losses.shape)))


def predicted_loss(law: FittedLaw, params: float, tokens: float, seed: int) -> Quantity:
    """The loss of a new run, with its intervals."""
    value = float(law.law.predict(law.parameters, {"N": params, "D": tokens}))
    return quantity(value, predicted_losses(law, params, tokens, seed))


def size_regret(
    law: FittedLaw,
    flops: float,
    params: float,
    flops_per_token: Callable[[Array], Array],
    params_range: tuple[float, float],
    level: float = 0.9,
) -> Regret:
    """Regret of sizes from N*/8 to 8 N*: median and one-sided upper bound at `level` over the draws."""
    sizes = params * np.geomspace(1 / REGRET_RANGE, REGRET_RANGE, REGRET_POINTS)
    some = {name: values[:REGRET_DRAWS, None] for name, values in law.of_draws().items()}
    losses = law.drawn.predict(some, {"N": sizes, "D": flops / flops_per_token(sizes)})
    budgets = flops * np.geomspace(1 / FRONTIER_DEPTH, 1, FRONTIER_POINTS)
    frontier: Optimum = numerical_optimum(some, budgets, flops_per_token, params_range, law.drawn.function)
    above = np.maximum(losses - frontier.loss[:, -1:], 0.0)
    waste = np.array([wasted_compute(row, edge, budgets) for row, edge in zip(losses, frontier.loss, strict=True)])
    return Regret(
        params=sizes,
        loss=np.median(above, axis=0),
        loss_high=np.quantile(above, level, axis=0),
        compute_percent=_finite(np.median(waste, axis=0)),
        compute_percent_high=_finite(np.quantile(waste, level, axis=0, method="higher")),
        level=level,
    )


def extrapolation_decades(value: float, largest: float, smallest: float | None = None) -> float:
    """By how many decades `value` lies beyond the largest value that was measured (or below the smallest); 0 inside."""
    beyond = max(0.0, float(np.log10(value / largest)))
    below = max(0.0, float(np.log10(smallest / value))) if smallest is not None else 0.0
    return max(beyond, below)


def quantity(value: float, draws: Any) -> Quantity:
    """A value with the percentile intervals of its finite draws; without intervals if fewer than 20 are finite."""
    usable = np.asarray(draws, dtype=np.float64)
    usable = usable[np.isfinite(usable)]
    intervals = tuple(percentile_interval(usable, level) for level in LEVELS) if len(usable) >= MINIMUM_DRAWS else ()
    return Quantity(value, intervals)


def wasted_compute(losses: Array, frontier: Array, budgets: Array) -> Array:
    """Per cent by which the last of `budgets` exceeds the one that reaches `losses` at its optimum; infinite beyond the
    first. frontier: the loss of the optimum at each budget, falling.
    """
    equivalent = np.exp(np.interp(-losses, -frontier, np.log(budgets)))
    return np.where(losses > frontier[0], np.inf, 100 * (budgets[-1] / equivalent - 1))


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.nan)


def _sensible_range(
    flops: float, flops_per_token: Callable[[Array], Array], params_range: tuple[float, float]
) -> tuple[float, float]:
    """The sizes that see between a hundredth of a token and ten million tokens per parameter at this budget."""
    sizes = np.geomspace(*params_range, 2000)
    ratio = flops / flops_per_token(sizes) / sizes
    allowed = sizes[(ratio > 0.01) & (ratio < 1e7)]
    return (float(allowed[0]), float(allowed[-1])) if len(allowed) > 1 else params_range

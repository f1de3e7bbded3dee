"""The compute-optimal model of a budget, with what is not known about it: intervals, regret, extrapolation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scaling_lab.science.bootstrap import Interval, percentile_interval
from scaling_lab.science.laws import Array, hoffmann
from scaling_lab.science.optimum import Optimum, numerical_optimum

LEVELS = (0.8, 0.95)
REGRET_RANGE, REGRET_POINTS, REGRET_DRAWS = 8.0, 25, 200
FRONTIER_DEPTH, FRONTIER_POINTS = 100.0, 61
NAMES = ("E", "A", "B", "alpha", "beta")


@dataclass(frozen=True)
class FittedLaw:
    """The Hoffmann law with its draws [n] and the log residuals of its runs, inflated for its parameters."""

    parameters: Mapping[str, float]
    draws: Mapping[str, Array]
    residuals: Array


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
    """N*, D*, D*/N* and the loss of one new run at the optimum; `edge_share` of the draws had no interior optimum."""

    flops: float
    params: Quantity
    tokens: Quantity
    tokens_per_param: Quantity
    loss: Quantity
    regret: Regret
    edge_share: float


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
    best = numerical_optimum(dict(law.parameters), flops, flops_per_token, bounds)
    drawn = numerical_optimum({name: law.draws[name] for name in NAMES}, flops, flops_per_token, bounds)
    size, data = float(best.params), float(best.tokens)
    losses = predicted_losses(law, size, data, seed)
    return BudgetPlan(
        flops=flops,
        params=_quantity(size, drawn.params),
        tokens=_quantity(data, drawn.tokens),
        tokens_per_param=_quantity(data / size, drawn.tokens / drawn.params),
        loss=_quantity(float(best.loss), losses),
        regret=size_regret(law, flops, size, flops_per_token, bounds),
        edge_share=float(np.mean(drawn.at_edge)),
    )


def predicted_losses(law: FittedLaw, params: float, tokens: float, seed: int) -> Array:
    """Draws of the loss of a new run of `params` parameters on `tokens` tokens."""
    mean = np.asarray(hoffmann(params, tokens, **{name: law.draws[name] for name in NAMES}))
    return np.asarray(mean * np.exp(np.random.default_rng(seed).choice(law.residuals, size=mean.shape)))


def predicted_loss(law: FittedLaw, params: float, tokens: float, seed: int) -> Quantity:
    """The loss of a new run, with its intervals."""
    return _quantity(float(hoffmann(params, tokens, **law.parameters)), predicted_losses(law, params, tokens, seed))


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
    some = {name: law.draws[name][:REGRET_DRAWS, None] for name in NAMES}
    losses = np.asarray(hoffmann(sizes, flops / flops_per_token(sizes), **some))
    budgets = flops * np.geomspace(1 / FRONTIER_DEPTH, 1, FRONTIER_POINTS)
    frontier: Optimum = numerical_optimum(some, budgets, flops_per_token, params_range)
    above = np.maximum(losses - frontier.loss[:, -1:], 0.0)
    waste = np.array([_waste(row, edge, budgets) for row, edge in zip(losses, frontier.loss, strict=True)])
    return Regret(
        params=sizes,
        loss=np.median(above, axis=0),
        loss_high=np.quantile(above, level, axis=0),
        compute_percent=_finite(np.median(waste, axis=0)),
        compute_percent_high=_finite(np.quantile(waste, level, axis=0, method="higher")),
        level=level,
    )


def extrapolation_decades(value: float, largest: float) -> float:
    """By how many decades `value` lies beyond the largest value that was measured; 0 inside."""
    return max(0.0, float(np.log10(value / largest)))


def _waste(losses: Array, frontier: Array, budgets: Array) -> Array:
    """Per cent by which the budget exceeds the one that reaches `losses` at its optimum; infinite beyond the table."""
    equivalent = np.exp(np.interp(-losses, -frontier, np.log(budgets)))
    return np.where(losses > frontier[0], np.inf, 100 * (budgets[-1] / equivalent - 1))


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.nan)


def _quantity(value: float, draws: Array) -> Quantity:
    return Quantity(value, tuple(percentile_interval(draws, level) for level in LEVELS))


def _sensible_range(
    flops: float, flops_per_token: Callable[[Array], Array], params_range: tuple[float, float]
) -> tuple[float, float]:
    """The sizes that see between a hundredth of a token and ten million tokens per parameter at this budget."""
    sizes = np.geomspace(*params_range, 2000)
    ratio = flops / flops_per_token(sizes) / sizes
    allowed = sizes[(ratio > 0.01) & (ratio < 1e7)]
    return (float(allowed[0]), float(allowed[-1])) if len(allowed) > 1 else params_range

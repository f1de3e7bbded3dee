"""Grids of runs: the cells that a designer may choose from, and the log-spaced grids that people draw by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scaling_lab.science.design import Cells, Target
from scaling_lab.science.design_prior import LawPrior
from scaling_lab.science.laws import Array

DECADES = 3.0  # of compute below the dearest run: further down the transients of training are not the law
REACH = 8.0  # factor around the expected best size at a run's own cost: further off no law was checked
_SPACING = np.sqrt(2)


class Frontier:
    """The expected best size at any budget: the median of the prior's."""

    def __init__(self, prior: LawPrior, target: Target, cheapest: float) -> None:
        self._log_flops = np.linspace(np.log(cheapest), np.log(target.flops), 24)
        at = [replace(target, flops=float(c)).best(prior.law, prior.parameters) for c in np.exp(self._log_flops)]
        self._log_params = np.median(np.array(at), axis=1)

    def params(self, flops: Array | float) -> Array:
        """N*, parameters."""
        return np.asarray(np.exp(np.interp(np.log(flops), self._log_flops, self._log_params)))


def lattice(frontier: Frontier, target: Target, dearest: float) -> Cells:
    """Sizes and tokens spaced by a factor sqrt 2, no run dearer than `dearest`, near the frontier."""
    cheapest = dearest / 10**DECADES
    low, high = (float(frontier.params(c)) for c in (cheapest, dearest))
    sizes = low / REACH * _SPACING ** np.arange(np.ceil(np.log(high / low * REACH**2) / np.log(_SPACING)) + 1)
    fewest = cheapest / float(target.cost(np.array(sizes[-1])))
    most = dearest / float(target.cost(np.array(sizes[0])))
    tokens = fewest * _SPACING ** np.arange(np.ceil(np.log(most / fewest) / np.log(_SPACING)) + 1)
    params, data = (values.ravel() for values in np.meshgrid(sizes, tokens, indexing="ij"))
    flops = target.cost(params) * data
    near = np.abs(np.log(params / frontier.params(flops))) <= np.log(REACH)
    return Cells(params, data, flops).take((flops >= cheapest) & (flops <= dearest) & near)


def log_spaced(frontier: Frontier, target: Target, budget: float, sizes: int = 7, horizons: int = 6) -> Cells:
    """The naive grid: every one of log-spaced sizes (2.5 decades) on every of log-spaced tokens (1.5 decades).

    Its middle lies on the frontier, and all of it costs `budget`.
    """
    params, tokens = np.meshgrid(np.logspace(-1.25, 1.25, sizes), np.logspace(-0.75, 0.75, horizons))

    def around(log_flops: float) -> Cells:
        middle = float(frontier.params(np.exp(log_flops)))
        data = np.exp(log_flops) / float(target.cost(np.array(middle)))
        size, amount = middle * params.ravel(), data * tokens.ravel()
        return Cells(size, amount, target.cost(size) * amount)

    return around(_scaled_to(budget, around))


def isoflop_profiles(frontier: Frontier, target: Target, budget: float, budgets: int = 5, sizes: int = 7) -> Cells:
    """Approach 2: log-spaced budgets over two decades, at each log-spaced sizes within a factor 4 of the frontier."""
    spread, span = np.geomspace(1 / 4, 4, sizes), np.geomspace(1e-2, 1, budgets)

    def around(log_flops: float) -> Cells:
        flops = np.repeat(np.exp(log_flops) * span, sizes)
        size = frontier.params(flops) * np.tile(spread, budgets)
        return Cells(size, flops / target.cost(size), flops)

    return around(_scaled_to(budget, around))


def _scaled_to(budget: float, around: Callable[[float], Cells]) -> float:
    """log FLOPs of the reference run at which a grid costs `budget`, by bisection."""
    low, high = np.log(budget) - 20, np.log(budget)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if around(middle).flops.sum() <= budget else (low, middle)
    return float(low)

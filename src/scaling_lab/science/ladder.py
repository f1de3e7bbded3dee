"""The ladder of corrections between Kaplan's and Hoffmann's exponents (Porian et al. 2024, section 3).

Each rung is one switch from the one before: what C counts, what N counts, the warmup, the decay, rate and batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.laws import Array
from scaling_lab.science.response_surface import BUDGETS, SurfaceFrontier, fit_response, surface_frontier

PORIAN_2024: Mapping[str, float] = {
    "kaplan": 0.835,
    "head_params": 0.706,
    "warmup": 0.602,
    "decay": 0.571,
    "tuned": 0.497,
}
"""Exponents of Porian et al. 2024 on RefinedWeb, Figure 1; it counts the head in C and N in one step."""


@dataclass(frozen=True)
class Points:
    """What a rung is measured on [n]: N, D, C by the rung's counts, loss in nats, and the number of each point's run."""

    params: Array
    tokens: Array
    flops: Array
    loss: Array
    run: NDArray[np.intp]


@dataclass(frozen=True)
class Rung:
    """N*(C) of a rung and the same of draws [draws, ...], each run shifted by the noise of a run."""

    best: SurfaceFrontier
    drawn: SurfaceFrontier
    noise: float


def measure_rung(
    points: Points, cost: Callable[[Any], Array], noise: float | None, draws: int, rng: np.random.Generator
) -> Rung:
    """The exponent of N* in C on a quadratic surface. Raises FitRefusedError.

    noise: standard deviation of the log loss of a run; None: that of the points around the surface, where every point
    is a run. A run's whole training curve is shifted at once: its points are not independent.
    """
    surface = fit_response(points.params, points.tokens, points.loss)
    sizes = (float(points.params.min()), float(points.params.max()))
    flops = np.geomspace(points.flops.min(), points.flops.max(), BUDGETS)
    best = surface_frontier(surface, flops, cost, sizes)
    spread = surface.noise if noise is None else noise
    shifts = spread * rng.standard_normal((draws, int(points.run.max()) + 1))
    noisy = fit_response(points.params, points.tokens, points.loss * np.exp(shifts[:, points.run]))
    return Rung(best, surface_frontier(noisy, flops, cost, sizes), spread)

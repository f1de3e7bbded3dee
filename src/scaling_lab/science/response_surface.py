"""Log loss as a quadratic in log N and log D: a smooth through few sizes and horizons, and N*(C) along it.

The parabola of an IsoFLOP profile, one for all budgets: where a profile needs many sizes at each cost, this needs six
points and more in the plane. Its minimum is taken only between the sizes that were trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.science.laws import Array
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

TERMS = 6
BUDGETS = 9  # evenly spaced in log C, over the costs of the points
MINIMUM_INTERIOR = 3


@dataclass(frozen=True)
class ResponseSurface:
    """coefficients [..., 6] of 1, n, d, n^2, n d, d^2 with n = log(N / centre_N) and d = log(D / centre_D)."""

    coefficients: Array
    centre: tuple[float, float]
    residuals: Array

    @property
    def noise(self) -> float:
        """Standard deviation of the log loss around it."""
        return float(np.sqrt(np.sum(self.residuals**2) / max(self.residuals.shape[-1] - TERMS, 1)))

    def log_loss(self, params: Any, tokens: Any, *c: Any) -> Array:
        """The quadratic with the coefficients c."""
        n, d = np.log(params / self.centre[0]), np.log(tokens / self.centre[1])
        return np.asarray(c[0] + c[1] * n + c[2] * d + c[3] * n**2 + c[4] * n * d + c[5] * d**2)


@dataclass(frozen=True)
class SurfaceFrontier:
    """N*(C) = coefficient C^a over `flops`; `params` is NaN where the minimum is at an edge of the sizes trained."""

    flops: Array
    params: Array
    a: Array
    coefficient: Array


def fit_response(params: Array, tokens: Array, loss: Array) -> ResponseSurface:
    """Least squares on the log loss; loss [..., n] may hold many draws. Raises FitRefusedError."""
    distinct = [len(np.unique(np.round(np.log(values), 3))) for values in (params, tokens)]
    if min(distinct) < 3 or len(params) <= TERMS:
        message = (
            f"{len(params)} points of {distinct[0]} sizes and {distinct[1]} amounts of data for a quadratic in both"
        )
        raise FitRefusedError(
            RefusalCode.TOO_FEW_POINTS, f"{message}; more than {TERMS} points, three of each are needed"
        )
    centre = (float(np.exp(np.log(params).mean())), float(np.exp(np.log(tokens).mean())))
    n, d = np.log(params / centre[0]), np.log(tokens / centre[1])
    design = np.column_stack([np.ones_like(n), n, d, n**2, n * d, d**2])
    solution = np.linalg.pinv(design)
    coefficients = np.log(loss) @ solution.T
    return ResponseSurface(coefficients, centre, np.log(loss) - coefficients @ design.T)


def surface_frontier(
    surface: ResponseSurface, flops: Array, cost: Callable[[Any], Array], sizes: tuple[float, float]
) -> SurfaceFrontier:
    """N* at `flops` [k] where D = C / cost(N), between `sizes`, and the power law through what is interior."""
    values = {f"c{i}": surface.coefficients[..., i, None] for i in range(TERMS)}

    def loss(params: Any, tokens: Any, **c: Any) -> Array:
        return surface.log_loss(params, tokens, *(c[f"c{i}"] for i in range(TERMS)))

    found = numerical_optimum(values, flops, cost, sizes, loss)
    params = np.where(found.at_edge, np.nan, found.params)
    inside = np.isfinite(params)
    a, coefficient = fit_power_line(
        np.broadcast_to(flops, params.shape), np.where(inside, params, 1.0), inside.astype(np.float64)
    )
    enough = inside.sum(axis=-1) >= MINIMUM_INTERIOR
    return SurfaceFrontier(flops, params, np.where(enough, a, np.nan), np.where(enough, coefficient, np.nan))

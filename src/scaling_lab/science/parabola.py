"""The minimum of a loss in the logarithm of a size, a rate or a shape: a parabola, refused where it tells of none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode


@dataclass(frozen=True)
class Minimum:
    """A parabola's minimum: `at` in the coordinate of its coefficients, loss, second derivative, error of `at`."""

    at: float
    loss: float
    curvature: float
    error: float


@dataclass(frozen=True)
class Words:
    """What messages say: where the losses are, of which variable, and within which values it was tried."""

    where: str
    variable: str
    tried: str


def coefficient_covariance(x: Array, residuals: Array) -> Array:
    """Covariance [3, 3] of a parabola's coefficients, highest power first, from its residuals at x [n]."""
    design = np.vander(x, 3)
    variance = float(np.sum(residuals**2)) / max(len(x) - 3, 1)
    return np.asarray(np.linalg.inv(design.T @ design) * variance)


def minimum_of(coefficients: Array, covariance: Array, low: float, high: float, words: Words) -> Minimum:
    """The minimum between `low` and `high`.

    Raises:
        FitRefusedError: the parabola opens downwards, is flat within its error, or has its minimum outside.
    """
    quadratic, linear, constant = coefficients
    if quadratic <= 0:
        message = f"the parabola at {words.where} opens downwards (loss in log {words.variable}, {quadratic:.3g})"
        raise FitRefusedError(RefusalCode.INVERTED_PARABOLA, message)
    if quadratic < np.sqrt(covariance[0, 0]):
        message = f"the losses at {words.where} show no valley: curvature {quadratic:.2g}"
        raise FitRefusedError(
            RefusalCode.NO_CURVATURE, f"{message} with standard error {np.sqrt(covariance[0, 0]):.2g}"
        )
    at = -linear / (2 * quadratic)
    if not low < at < high:
        message = f"the minimum at {words.where} is outside the {words.tried}"
        raise FitRefusedError(RefusalCode.EDGE_OPTIMUM, message)
    gradient = np.array([linear / (2 * quadratic**2), -1 / (2 * quadratic), 0.0])
    error = float(np.sqrt(max(gradient @ covariance @ gradient, 0.0)))
    return Minimum(float(at), float(constant + linear * at / 2), float(2 * quadratic), error)


def drawn_minima(x: Array, losses: Array) -> Array:
    """Minima [count] of parabolas through losses [count, n] at x [n]; NaN where one opens downwards or lies outside."""
    quadratic, linear, _ = np.linalg.lstsq(np.vander(x, 3), losses.T, rcond=None)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        at = -linear / (2 * quadratic)
    inside = (quadratic > 0) & (at > x.min()) & (at < x.max())
    return np.where(inside, at, np.nan)

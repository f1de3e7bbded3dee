"""y = intercept + slope x by least squares, for many sets of points at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaling_lab.science.laws import Array


@dataclass(frozen=True)
class Line:
    """Slope and intercept, [...] each."""

    slope: Array
    intercept: Array

    def __call__(self, x: Array) -> Array:
        return np.asarray(self.intercept + self.slope * x)


def fit_line(x: Array, y: Array, weights: Array | None = None) -> Line:
    """The lines through x, y [..., n] with weights [..., n]; NaN where x takes one value."""
    w = np.ones(np.broadcast_shapes(x.shape, y.shape)) if weights is None else weights
    with np.errstate(divide="ignore", invalid="ignore"):
        total = w.sum(axis=-1)
        mean_x, mean_y = (w * x).sum(axis=-1) / total, (w * y).sum(axis=-1) / total
        off = x - mean_x[..., None]
        spread = (w * off**2).sum(axis=-1)
        slope = np.where(spread > 1e-12, (w * off * y).sum(axis=-1) / spread, np.nan)
    return Line(slope, np.asarray(mean_y - slope * mean_x))


def resampled_weights(count: int, draws: int, seed: int) -> Array:
    """How often [draws, count] each of `count` points stands in a resample with replacement."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)

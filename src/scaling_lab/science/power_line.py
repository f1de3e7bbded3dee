"""y = coefficient X^exponent through points, by least squares in log-log; many sets of points at once."""

from __future__ import annotations

import numpy as np

from scaling_lab.science.laws import Array


def fit_power_line(x: Array, y: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Exponents and coefficients [...] of the lines through x, y [..., n].

    weights [..., n] of zero leave a point out; with fewer than two distinct x left, the answer is NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.ones(np.broadcast_shapes(x.shape, y.shape)) if weights is None else weights
        log_x, log_y = (np.where(w > 0, np.log(values), 0.0) for values in (x, y))
        total = w.sum(axis=-1)
        mean_x, mean_y = (w * log_x).sum(axis=-1) / total, (w * log_y).sum(axis=-1) / total
        off_x = log_x - mean_x[..., None]
        spread = (w * off_x**2).sum(axis=-1)
        slope = np.where(spread > 1e-12, (w * off_x * log_y).sum(axis=-1) / spread, np.nan)
        return slope, np.exp(mean_y - slope * mean_x)

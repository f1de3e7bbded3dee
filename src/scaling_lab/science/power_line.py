"""y = coefficient X^exponent through points, by least squares in log-log; many sets of points at once."""

from __future__ import annotations

import numpy as np

from scaling_lab.science.laws import Array
from scaling_lab.science.straight import fit_line


def fit_power_line(x: Array, y: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Exponents and coefficients [...] of the lines through x, y [..., n].

    weights [..., n] of zero leave a point out; with fewer than two distinct x left, the answer is NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.ones(np.broadcast_shapes(x.shape, y.shape)) if weights is None else weights
        log_x, log_y = (np.where(w > 0, np.log(values), 0.0) for values in (x, y))
    line = fit_line(log_x, log_y, w)
    return line.slope, np.exp(line.intercept)

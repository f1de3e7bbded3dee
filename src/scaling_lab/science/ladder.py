"""The ladder of corrections between Kaplan's and Hoffmann's exponents (Porian et al. 2024, section 3).

Each rung is one switch from the one before: what C counts, what N counts, the warmup, the decay, rate and batch. On
every rung a parabola in log N is put through the sizes near the best at each budget, and a power law through the minima
that lie between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.curve_envelope import Curve
from scaling_lab.science.laws import Array
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

PORIAN_2024: Mapping[str, float] = {
    "kaplan": 0.835,
    "head_params": 0.706,
    "warmup": 0.602,
    "decay": 0.571,
    "tuned": 0.497,
}
"""Exponents of Porian et al. 2024 on RefinedWeb, Figure 1; it counts the head in C and N in one step."""

BUDGETS, LEAST_SIZES, LEAST_BUDGETS = 17, 3, 3
REACH = 4.0  # times the best size, within which a parabola describes the losses: further out they are no parabola
BEYOND = 1.5  # how far beyond its horizons the loss of a size is continued


@dataclass(frozen=True)
class SizeLosses:
    """Log loss of one size against tokens from low to high, linear in the shifts of all runs."""

    params: float
    low: float
    high: float
    knots: Array  # log tokens
    values: Array  # log loss there
    shifts: Array  # [knots, runs]: which run a knot is of
    smooth: bool  # a parabola through the knots, which are ends of runs; else straight lines between points of a curve

    def at(self, tokens: Array) -> tuple[Array, Array]:
        """Log loss [k] and its weights on the runs' shifts [k, runs]; NaN outside."""
        x = np.log(tokens)
        if self.smooth:
            degree = min(2, len(self.knots) - 1)
            weights = np.vander(x, degree + 1) @ np.linalg.pinv(np.vander(self.knots, degree + 1))
        else:
            weights = np.stack([np.interp(x, self.knots, row) for row in np.eye(len(self.knots))], axis=1)
        inside = (tokens >= self.low) & (tokens <= self.high)
        return np.where(inside, weights @ self.values, np.nan), weights @ self.shifts


def losses_of_curve(params: float, curve: Curve, shortest: float, run: int, runs: int) -> SizeLosses:
    """A size by the training curve of one run, from a little below the `shortest` horizon in tokens on."""
    shifts = np.zeros((len(curve.tokens), runs))
    shifts[:, run] = 1
    low, high = max(shortest / BEYOND, float(curve.tokens[0])), float(curve.tokens[-1])
    return SizeLosses(params, low, high, np.log(curve.tokens), np.log(curve.loss), shifts, smooth=False)


def losses_of_ends(params: float, ends: Mapping[int, tuple[float, float]], runs: int) -> SizeLosses:
    """A size by the ends of several runs: (tokens, loss) by the number of the run."""
    tokens, loss = (np.array(values) for values in zip(*ends.values(), strict=True))
    shifts = np.eye(runs)[list(ends)]
    low, high = float(tokens.min() / BEYOND), float(tokens.max() * BEYOND)
    return SizeLosses(params, low, high, np.log(tokens), np.log(loss), shifts, smooth=True)


@dataclass(frozen=True)
class Rung:
    """The minima [k] at `flops` [k], NaN where there is none between the sizes, and those of the draws [draws, k]."""

    flops: Array
    params: Array
    drawn: Array


def measure_rung(sizes: Sequence[SizeLosses], cost: Array, shifts: Array) -> Rung:
    """Minima at budgets that three sizes or more reach.

    cost: FLOPs per token of each size by the rung's count. shifts: of the log loss of every run, by draw [draws, runs].
    Raises FitRefusedError where fewer than three budgets have a minimum between their sizes.
    """
    ends = np.array([(size.low * each, size.high * each) for size, each in zip(sizes, cost, strict=True)])
    # From where the third size begins to where the third but last ends.
    least, most = np.sort(ends[:, 0])[LEAST_SIZES - 1 : LEAST_SIZES], np.sort(ends[:, 1])[-LEAST_SIZES:][:1]
    if len(sizes) < LEAST_SIZES or least[0] >= most[0]:
        message = f"{len(sizes)} sizes that share no budget; {LEAST_SIZES} are needed"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    flops = np.geomspace(least[0], most[0], BUDGETS)
    log_n = np.log([size.params for size in sizes])
    best, drawn = np.full(BUDGETS, np.nan), np.full((len(shifts), BUDGETS), np.nan)
    read = [size.at(flops / each) for size, each in zip(sizes, cost, strict=True)]
    for k in range(BUDGETS):
        near = _near_the_best(log_n, np.array([values[k] for values, _ in read]))
        if near.sum() >= LEAST_SIZES:
            base = np.array([values[k] for values, _ in read])[near]
            moved = base + shifts @ np.array([weights[k] for _, weights in read])[near].T
            best[k] = _minimum(log_n[near], base[None, :])[0]
            drawn[:, k] = _minimum(log_n[near], moved)
    found = np.isfinite(best)
    if found.sum() < LEAST_BUDGETS:
        message = f"{found.sum()} of {BUDGETS} budgets have their best size between those trained"
        raise FitRefusedError(RefusalCode.EDGE_OPTIMUM, f"{message}; {LEAST_BUDGETS} are needed")
    return Rung(flops, best, drawn)


def _near_the_best(log_n: Array, losses: Array) -> NDArray[np.bool_]:
    """Which sizes lie within reach of the one of least loss; NaN is a size that does not reach the budget."""
    known = np.isfinite(losses)
    if not known.any():
        return known
    return np.asarray(known & (np.abs(log_n - log_n[np.nanargmin(losses)]) <= np.log(REACH)))


def slopes(flops: Array, params: Array) -> Array:
    """Exponents [...] through the minima [..., k] that are not NaN; NaN where fewer than three are left."""
    inside = np.isfinite(params)
    a, _ = fit_power_line(
        np.broadcast_to(flops, params.shape), np.where(inside, params, 1.0), inside.astype(np.float64)
    )
    return np.where(inside.sum(axis=-1) >= LEAST_BUDGETS, a, np.nan)


def _minimum(log_n: Array, losses: Array) -> Array:
    """N [draws] at the vertex of a parabola through log losses [draws, n]; NaN outside or without a valley."""
    centre = log_n.mean()
    quadratic, linear, _ = np.linalg.pinv(np.vander(log_n - centre, 3)) @ losses.T
    with np.errstate(divide="ignore", invalid="ignore"):
        at = centre - linear / (2 * quadratic)
    inside = (quadratic > 0) & (at > log_n.min()) & (at < log_n.max())
    return np.where(inside, np.exp(np.where(inside, at, 0.0)), np.nan)

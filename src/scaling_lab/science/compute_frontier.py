"""The lower envelope of training curves over compute, at the runs' batch or as if at a small one, and its power laws.

Kaplan et al. 2020, sections 3.3 and 6.1, Figures 13 and 14: every point of every curve has its C, or its C_min and
S_min by the critical batch at its loss; the lowest loss at each compute names the best size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.batch import compute_at_small_batch, steps_at_large_batch
from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.laws import Array
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.resampling import BootstrapOptions
from scaling_lab.science.training_curve import TrainingCurve
from scaling_lab.science.training_law import Critical, drawn_critical

GRID_POINTS, MINIMUM_SIZES, FEWEST_IN_A_DRAW = 400, 3, 2
QUANTITIES = ("loss", "params", "steps", "tokens", "batch")


@dataclass(frozen=True)
class Frontier:
    """The envelope [k] over `flops`, C or C_min: the best loss, and the size and training that reach it.

    Between the sizes that were trained the best one is the vertex of a parabola in log N through the lowest and its
    neighbours. steps: S or S_min; tokens: of the run, or 2 C_min over FLOPs per token, those of training at B_crit;
    batch: the run's, or B_crit; run: index of the curve that is lowest, by size.
    """

    flops: Array
    loss: Array
    params: Array
    steps: Array
    tokens: Array
    batch: Array
    run: NDArray[np.intp]

    @property
    def laws(self) -> dict[str, tuple[float, float]]:
        """Exponent and coefficient at 1 FLOP of each of QUANTITIES as a power of compute."""
        lines = {name: fit_power_line(self.flops, getattr(self, name)) for name in QUANTITIES}
        return {name: (float(slope), float(level)) for name, (slope, level) in lines.items()}


@dataclass(frozen=True)
class _Grid:
    """All curves, by size, on one grid of compute: log loss and log steps [runs, k], infinite where there are none."""

    flops: Array
    loss: Array
    steps: Array


def fit_frontier(
    curves: Sequence[TrainingCurve], critical: Critical | None = None, smallest: int = MINIMUM_SIZES
) -> Frontier:
    """The part of the envelope at which the best size has a smaller and a larger one beside it, so that it is a choice.

    curves: one of each size. Raises FitRefusedError where fewer than `smallest` sizes lie on that part.
    """
    curves = sorted(curves, key=lambda curve: curve.params)
    grid = _on_one_grid(curves, critical)
    lowest, column = grid.loss.argmin(axis=0), np.arange(len(grid.flops))
    inner = np.clip(lowest, 1, max(len(curves) - 2, 1))
    beside = [grid.loss[np.minimum(inner + side, len(curves) - 1), column] for side in (-1, 0, 1)]
    inside = (inner == lowest) & np.isfinite(beside).all(axis=0)
    best = lowest[inside]
    if len(np.unique(best)) < smallest:
        message = f"{len(np.unique(best))} sizes on the part of the envelope that has others on both sides"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{message}; at least {smallest} are needed")
    return _vertices(curves, grid, best, column[inside], critical)


def _vertices(
    curves: Sequence[TrainingCurve],
    grid: _Grid,
    best: NDArray[np.intp],
    column: NDArray[np.intp],
    critical: Critical | None,
) -> Frontier:
    """The optimum between the sizes at each compute, and everything else at that size."""
    three = best + np.array([[-1], [0], [1]])
    size, cost, own = (
        np.log([getattr(curve, name) for curve in curves]) for name in ("params", "flops_per_token", "batch")
    )
    x, loss, steps = size[three], grid.loss[three, column], grid.steps[three, column]
    at = _lowest_of_parabola(x, loss)
    flops, found = grid.flops[column], np.exp(_interpolate(x, loss, at))
    tokens = flops / np.exp(_interpolate(x, cost[three], at))
    batch = np.exp(own[best]) if critical is None else critical(found)
    return Frontier(
        flops,
        found,
        np.exp(at),
        np.exp(_interpolate(x, steps, at)),
        tokens * (1 if critical is None else 2),
        batch,
        best,
    )


def _lowest_of_parabola(x: Array, y: Array) -> Array:
    """Vertices [k] of the parabolas through three points [3, k] of which the middle one is the lowest."""
    left, right = x[0] - x[1], x[2] - x[1]
    rise_left, rise_right = y[0] - y[1], y[2] - y[1]
    below = 2 * (left * rise_right - right * rise_left)
    shift = (left**2 * rise_right - right**2 * rise_left) / np.where(below == 0, 1, below)
    return np.asarray(x[1] + np.where(below == 0, 0.0, shift))


def _interpolate(x: Array, y: Array, at: Array) -> Array:
    """The parabola through three points [3, k] of y, at `at` [k]."""
    total = np.zeros_like(at)
    for i in range(3):
        others = [x[j] for j in range(3) if j != i]
        total += y[i] * (at - others[0]) * (at - others[1]) / ((x[i] - others[0]) * (x[i] - others[1]))
    return total


def _on_one_grid(curves: Sequence[TrainingCurve], critical: Critical | None) -> _Grid:
    adjusted = [_adjusted(curve, critical) for curve in curves]
    grid = np.geomspace(min(c[0] for c, _ in adjusted), max(c[-1] for c, _ in adjusted), GRID_POINTS)
    loss, steps = np.full((len(curves), GRID_POINTS), np.inf), np.full((len(curves), GRID_POINTS), np.nan)
    for row, (curve, (flops, taken)) in enumerate(zip(curves, adjusted, strict=True)):
        inside = (grid >= flops[0]) & (grid <= flops[-1])
        at, known = np.log(grid[inside]), np.log(flops)
        loss[row, inside] = np.interp(at, known, np.log(curve.loss))
        steps[row, inside] = np.interp(at, known, np.log(taken))
    return _Grid(grid, loss, steps)


def _adjusted(curve: TrainingCurve, critical: Critical | None) -> tuple[Array, Array]:
    """C and S of a curve, or C_min and S_min (Eq 5.4, 5.5), C_min increasing."""
    if critical is None:
        return curve.flops, curve.steps
    needed = critical(curve.loss)
    flops = compute_at_small_batch(curve.flops, curve.batch, needed)
    steps = steps_at_large_batch(curve.steps, curve.batch, needed)
    return np.maximum.accumulate(flops), np.maximum.accumulate(steps)


def run_noise(curves: Sequence[TrainingCurve]) -> float:
    """Standard deviation of a run's log loss: of the last losses of the sizes around a parabola in log N."""
    sizes, last = np.log([curve.params for curve in curves]), np.log([curve.loss[-1] for curve in curves])
    if len(curves) < 5:
        return 0.0
    off = last - np.polyval(np.polyfit(sizes, last, 2), sizes)
    return float(np.sqrt(np.sum(off**2) / (len(curves) - 3)))


def bootstrap_frontier(curves: Sequence[TrainingCurve], critical: Draws | None, options: BootstrapOptions) -> Draws:
    """Draws of `{quantity}_exponent` and `{quantity}_coefficient`: whole curves shifted by the noise of a run, and
    another draw of the critical batch each time. The grid of sizes stays: it is the design. Too few sizes fail a draw.
    """
    rng, noise = np.random.default_rng(options.seed), run_noise(curves)
    rows: list[list[float]] = []
    for index in range(options.resamples):
        shifts = np.exp(noise * rng.standard_normal(len(curves)))
        moved = [replace(curve, loss=curve.loss * shift) for curve, shift in zip(curves, shifts, strict=True)]
        try:
            frontier = fit_frontier(
                moved, None if critical is None else drawn_critical(critical, index), FEWEST_IN_A_DRAW
            )
        except FitRefusedError:
            continue
        rows.append([value for name in QUANTITIES for value in frontier.laws[name]])
    names = [f"{name}_{part}" for name in QUANTITIES for part in ("exponent", "coefficient")]
    values = dict(zip(names, np.array(rows).reshape(-1, len(names)).T, strict=True))
    return Draws(values, options.resamples, {"too_few_sizes": options.resamples - len(rows)})

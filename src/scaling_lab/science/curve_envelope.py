"""Approach 1 of Hoffmann et al. 2022: the lowest loss of all training curves at every cost, and who reaches it.

A loss in the middle of a schedule is higher than one at its end, so a point of the envelope counts only where it lies
in the final part of its run's schedule; the others are left out and counted (papers.md C.2, E.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.departure import Departures, stated_size
from scaling_lab.science.laws import Array
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.resampling import BootstrapOptions, cluster_counts, design_of

GRID_POINTS, FINAL_PART, SMOOTHING = 1500, 0.85, 10.0  # of Hoffmann et al. 2022, 3.1
MINIMUM_SIZES = 3
_EVERY = 25  # points of that grid between two at which a departure, which is smooth, is evaluated


@dataclass(frozen=True)
class Curve:
    """One run: N, and per recorded step [m] training FLOPs so far (increasing), tokens, loss and progress (0 to 1)."""

    params: float
    flops: Array
    tokens: Array
    loss: Array
    progress: Array


@dataclass(frozen=True)
class CurveEnvelope:
    """N_opt = params_coefficient C^a and D_opt = tokens_coefficient C^b over the envelope's points [k]."""

    flops: Array
    params: Array
    tokens: Array
    loss: Array
    run: NDArray[np.intp]
    a: float
    b: float
    params_coefficient: float
    tokens_coefficient: float
    share_mid_schedule: float  # of the envelope's points, left out
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Table:
    """All curves on one grid of FLOPs: loss, tokens and progress [runs, k]; infinite loss where a run has no point."""

    flops: Array
    loss: Array
    tokens: Array
    progress: Array
    params: Array


def smooth(loss: Array, width: float = SMOOTHING) -> Array:
    """Gaussian smoothing along a curve [m], `width` points of standard deviation; a local line, so that the ends of a
    falling curve are not raised."""
    if width <= 0 or len(loss) < 3:
        return loss
    reach = min(int(np.ceil(4 * width)), len(loss) - 1)
    offset = np.arange(-reach, reach + 1, dtype=np.float64)
    kernel = np.exp(-0.5 * (offset / width) ** 2)

    def moment(values: Array, power: int) -> Array:
        return np.convolve(values, (kernel * offset**power)[::-1], mode="full")[reach : reach + len(loss)]

    ones = np.ones_like(loss)
    s0, s1, s2 = (moment(ones, power) for power in range(3))
    t0, t1 = (moment(loss, power) for power in range(2))
    return np.asarray((s2 * t0 - s1 * t1) / (s0 * s2 - s1**2))


def fit_curve_envelope(
    curves: Sequence[Curve],
    smoothing: float = SMOOTHING,
    final_part: float = FINAL_PART,
    grid_points: int = GRID_POINTS,
) -> CurveEnvelope:
    """Fit Approach 1 to training curves. Raises FitRefusedError for fewer than three sizes on the usable envelope."""
    table = _table(curves, smoothing, grid_points)
    winner = np.argmin(table.loss, axis=0)
    column = np.arange(len(table.flops))
    reached = np.isfinite(table.loss[winner, column])
    final = reached & (table.progress[winner, column] >= final_part)
    missed = float(1 - final.sum() / max(reached.sum(), 1))
    sizes = len(np.unique(table.params[winner[final]]))
    if sizes < MINIMUM_SIZES:
        message = f"{sizes} sizes on the part of the envelope where schedules end; at least {MINIMUM_SIZES} are needed"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{message} ({missed:.0%} of it is mid-schedule)")
    flops, run = table.flops[final], winner[final]
    tokens, params = table.tokens[run, column[final]], table.params[run]
    a, of_params = fit_power_line(flops, params)
    b, of_tokens = fit_power_line(flops, tokens)
    notes = (f"{missed:.0%} of the envelope lies in the middle of a schedule and is left out",) if missed > 0.5 else ()
    return CurveEnvelope(
        flops, params, tokens, table.loss[run, column[final]], run,
        float(a), float(b), float(of_params), float(of_tokens), missed, notes,
    )  # fmt: skip


def bootstrap_curve_envelope(
    curves: Sequence[Curve],
    options: BootstrapOptions,
    smoothing: float = SMOOTHING,
    final_part: float = FINAL_PART,
    grid_points: int = GRID_POINTS,
) -> Draws:
    """Draws of a, b and their coefficients from resampled runs, whole curves at a time.

    `options.noise` shifts the log loss of every drawn curve. With `options.departure`, of the size stated, every draw
    also bends all curves by a departure of its own, over N and the tokens so far. A draw with fewer than three sizes on
    its envelope failed.
    """
    rng, count = np.random.default_rng(options.seed), options.resamples
    table, runs = _table(curves, smoothing, grid_points), len(curves)
    drawn = cluster_counts(design_of(runs, None, None), count, rng) > 0
    shifts = options.noise * rng.standard_normal(drawn.shape)
    believed = stated_size(options.departure) if options.departure else None
    departures = None if believed is None else Departures.drawn(believed, count, options.seed)
    bent = _bending(curves, table, departures)
    rows = [_redraw(table, drawn[i], shifts[i][:, None] + bent(i), final_part) for i in range(count)]
    kept = np.array([row if row is not None else [np.nan] * 4 for row in rows])
    good = np.isfinite(kept).all(axis=1)
    names = ("a", "b", "params_coefficient", "tokens_coefficient")
    values = {name: kept[good, j] for j, name in enumerate(names)}
    values |= {} if departures is None else {name: column[good] for name, column in departures.columns.items()}
    return Draws(values, count, {"too_few_sizes": int((~good).sum())}, believed)


def _bending(curves: Sequence[Curve], table: _Table, departures: Departures | None) -> Callable[[int], Array | float]:
    """By how much a draw's departure moves the log losses of the table [runs, k], interpolated along the curves."""
    if departures is None:
        return lambda draw: 0.0
    log_c = np.log(table.flops)
    at = np.append(np.arange(0, len(log_c) - 1, _EVERY), len(log_c) - 1)
    log_n = np.broadcast_to(np.log(table.params)[:, None], (len(curves), len(at)))
    # Beyond a curve's ends a token costs what it costs there, so that its last points have neighbours on both sides.
    ends = [np.interp(log_c[at], np.log(curve.flops), np.log(curve.flops / curve.tokens)) for curve in curves]
    logs = (log_n.ravel(), (log_c[at] - np.array(ends)).ravel())
    right = np.searchsorted(at, np.arange(len(log_c)), side="right").clip(1, len(at) - 1)
    share = (np.arange(len(log_c)) - at[right - 1]) / np.diff(at)[right - 1]

    def bent(draw: int) -> Array:
        known = departures.shifts(logs, slice(draw, draw + 1)).reshape(log_n.shape)
        return np.asarray(known[:, right - 1] * (1 - share) + known[:, right] * share)

    return bent


def _redraw(table: _Table, drawn: NDArray[np.bool_], shift: Array, final_part: float) -> list[float] | None:
    loss = np.where(drawn[:, None], table.loss * np.exp(shift), np.inf)
    winner, column = np.argmin(loss, axis=0), np.arange(len(table.flops))
    final = np.isfinite(loss[winner, column]) & (table.progress[winner, column] >= final_part)
    run = winner[final]
    if len(np.unique(table.params[run])) < MINIMUM_SIZES:
        return None
    a, of_params = fit_power_line(table.flops[final], table.params[run])
    b, of_tokens = fit_power_line(table.flops[final], table.tokens[run, column[final]])
    return [float(a), float(b), float(of_params), float(of_tokens)]


def _table(curves: Sequence[Curve], smoothing: float, grid_points: int) -> _Table:
    """Smoothed curves, interpolated in log FLOPs between their first and last point."""
    ends = [(curve.flops[0], curve.flops[-1]) for curve in curves]
    grid = np.geomspace(max(min(e[0] for e in ends), 1e-300), max(e[1] for e in ends), grid_points)
    log_grid, shape = np.log(grid), (len(curves), grid_points)
    loss, tokens, progress = (np.full(shape, np.inf), np.zeros(shape), np.zeros(shape))
    for row, curve in enumerate(curves):
        log_flops = np.log(curve.flops)
        inside = (log_grid >= log_flops[0] - 1e-12) & (log_grid <= log_flops[-1] + 1e-12)
        loss[row, inside] = np.interp(log_grid[inside], log_flops, smooth(curve.loss, smoothing))
        tokens[row, inside] = np.interp(log_grid[inside], log_flops, curve.tokens)
        progress[row, inside] = np.interp(log_grid[inside], log_flops, curve.progress)
    return _Table(grid, loss, tokens, progress, np.array([curve.params for curve in curves]))

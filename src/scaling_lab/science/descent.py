"""Damped reweighted Gauss-Newton on the sum of Huber terms, for many starts and many resamples at once.

Every row of theta is a problem of its own: its own start, weights and targets. There are two kinds of step: the
reweighted one (safe far from the optimum) and the one that counts only the points inside delta as curved (fast near
it, where Huber with a small delta is almost least absolute deviations). A step is kept if the objective falls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.laws import Array, Law

Mask = NDArray[np.bool_]

_BLOCK = 128  # rows advanced together: small enough that a block's Jacobian stays in cache
_STATIONARY = 1e-10
_EXPLORE = 3  # iterations between two trials of both kinds of step
_STUCK = 1e10  # damping at which no step is left to try
_PATIENCE = 6  # failures in a row after which the damping grows faster: most such rows have nothing left to gain


@dataclass(frozen=True)
class Problem:
    """A law, the logarithms of its variables [n] each, and Huber's delta (infinite: least squares)."""

    law: Law
    logs: Mapping[str, Array]
    delta: float


@dataclass(frozen=True)
class Descent:
    """Where each row ended: theta [S, P], the sum objective [S] and its `stationarity` [S]."""

    theta: Array
    objective: Array
    stationarity: Array

    def converged(self, tolerance: float, noise_free: float) -> Mask:
        """Rows at a stationary point, or with an objective so small that rounding is all that is left."""
        done = (self.stationarity <= tolerance) | (self.objective <= noise_free)
        return np.asarray(done & np.isfinite(self.objective))


def huber_sum(residual: Array, weights: Array, delta: float) -> Array:
    """Sum over the last axis of weights times r^2/2 inside delta and delta (|r| - delta/2) outside."""
    size = np.abs(residual)
    inside = np.minimum(size, delta)
    return np.asarray((weights * (inside * (size - inside / 2))).sum(axis=-1))


def descend(problem: Problem, theta: Array, target: Array, weights: Array, iterations: int) -> Descent:
    """Advance every row of theta [S, P] towards its local minimum.

    target: log losses [n] or [S, n]; weights: how often each run counts, [n] or [S, n]. Rows stop on their own; those
    that did not become stationary say so in `stationarity` (0 at an optimum, 1 when all points pull the same way).
    """
    rows, points = len(theta), target.shape[-1]
    target, weights = (np.broadcast_to(values, (rows, points)) for values in (target, weights))
    parts = [
        _descend_block(problem, theta[i : i + _BLOCK], target[i : i + _BLOCK], weights[i : i + _BLOCK], iterations)
        for i in range(0, rows, _BLOCK)
    ]
    return Descent(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _descend_block(
    problem: Problem, theta: Array, target: Array, weights: Array, iterations: int
) -> tuple[Array, Array, Array]:
    result = np.clip(theta, problem.law.lower, problem.law.upper)
    objective, stationarity = np.full(len(theta), np.inf), np.full(len(theta), np.inf)
    active = np.arange(len(theta))
    with np.errstate(all="ignore"):  # a hopeless start overflows, is never better, and stops by its damping
        state = _State(problem, result, target, weights)
    for _ in range(iterations):
        with np.errstate(all="ignore"):
            state.step()
        finished = state.finished()
        result[active], objective[active], stationarity[active] = state.theta, state.objective, state.stationarity
        if finished.any():
            active = active[~finished]
            state.keep(~finished)
        if not len(active):
            break
    return result, objective, stationarity


class _State:
    """The rows still moving, and what an iteration needs of each."""

    def __init__(self, problem: Problem, theta: Array, target: Array, weights: Array) -> None:
        self.problem, self.theta, self.target, self.weights = problem, theta.copy(), target, weights
        self.damping, self.turn = np.full(len(theta), 1e-2), 0
        self.failures = np.zeros(len(theta), dtype=int)
        self.prefers_inner = np.zeros(len(theta), dtype=bool)
        self.residual, self.jacobian, self.objective = self._evaluate(theta, target, weights)
        self.stationarity = np.full(len(theta), np.inf)
        self.inner: Array | None = None
        self._linearise()

    def _evaluate(self, theta: Array, target: Array, weights: Array) -> tuple[Array, Array, Array]:
        prediction, jacobian = self.problem.law.log_prediction(theta, self.problem.logs)
        residual = prediction - target
        objective = huber_sum(residual, weights, self.problem.delta)
        return residual, jacobian, np.where(np.isfinite(objective), objective, np.inf)

    def _linearise(self) -> None:
        """Gradient, curvature, free parameters and stationarity at theta."""
        delta, size = self.problem.delta, np.abs(self.residual)
        pull = np.minimum(1.0, delta / np.maximum(size, 1e-300)) * self.weights
        pulled = self.jacobian * pull[:, None, :]
        self.gradient = (pulled @ self.residual[..., None])[..., 0]
        self.curvature = pulled @ self.jacobian.swapaxes(1, 2)
        at_lower = (self.theta <= self.problem.law.lower) & (self.gradient > 0)
        at_upper = (self.theta >= self.problem.law.upper) & (self.gradient < 0)
        self.free = ~(at_lower | at_upper)
        total = np.maximum((np.abs(pulled, out=pulled) @ size[..., None])[..., 0], 1e-300)
        self.stationarity = np.max(np.where(self.free, np.abs(self.gradient) / total, 0.0), axis=1)
        if np.isfinite(delta):
            curved = np.multiply(self.jacobian, (self.weights * (size <= delta))[:, None, :], out=pulled)
            self.inner = curved @ self.jacobian.swapaxes(1, 2)

    def _proposal(self, curvature: Array) -> Array:
        """The damped step, with parameters held at a bound left out, clipped to the bounds."""
        count = self.theta.shape[1]
        scale = np.einsum("spp->sp", self.curvature)
        scale = np.maximum(scale, 1e-12 * scale.max(axis=1, keepdims=True) + 1e-300)
        matrix = curvature + np.eye(count) * (self.damping[:, None] * scale)[:, None, :]
        both_free = self.free[:, :, None] & self.free[:, None, :]
        matrix = np.where(both_free, matrix / np.sqrt(scale[:, :, None] * scale[:, None, :]), np.eye(count))
        right = np.where(self.free, self.gradient / np.sqrt(scale), 0.0)
        step = np.linalg.solve(matrix + 1e-15 * np.eye(count), right[..., None])[..., 0] / np.sqrt(scale)
        return np.asarray(np.clip(self.theta - step, self.problem.law.lower, self.problem.law.upper))

    def step(self) -> None:
        """Move every row by the kind of step that served it last, or by the other; where neither helps, damp more.

        Every third time both are tried, so that a row finds the step that has become the better one.
        """
        before = self.objective.copy()
        if self.inner is None:
            self._accept(np.arange(len(before)), self._proposal(self.curvature))
        else:
            inner = self.prefers_inner[:, None, None]
            usual = self._proposal(np.where(inner, self.inner, self.curvature))
            other = self._proposal(np.where(inner, self.curvature, self.inner))
            self._accept(np.arange(len(before)), usual)
            rows = np.flatnonzero((self.objective >= before) | (self.turn % _EXPLORE == 0))
            better = self._accept(rows, other[rows])
            self.prefers_inner[better] = ~self.prefers_inner[better]
        self.turn += 1
        moved = self.objective < before
        self.failures = np.where(moved, 0, self.failures + 1)
        raised = self.damping * np.where(self.failures > _PATIENCE, 32, 4)
        self.damping = np.where(moved, np.maximum(self.damping / 5, 1e-15), raised)
        self._linearise()

    def _accept(self, rows: NDArray[np.intp], trial: Array) -> NDArray[np.intp]:
        """Evaluate `trial` [k, P] for `rows` [k], keep it where the objective falls, and say where."""
        if not len(rows):
            return rows
        residual, jacobian, objective = self._evaluate(trial, self.target[rows], self.weights[rows])
        better = objective < self.objective[rows]
        into = rows[better]
        self.theta[into], self.objective[into] = trial[better], objective[better]
        self.residual[into], self.jacobian[into] = residual[better], jacobian[better]
        return into

    def finished(self) -> Mask:
        """Rows that are stationary or have no step left."""
        stuck = (self.damping > _STUCK) | ~np.isfinite(self.objective)
        return np.asarray((self.stationarity < _STATIONARY) | (self.objective == 0) | stuck)

    def keep(self, rows: Mask) -> None:
        """Drop the rows that are done."""
        for name in (
            "theta", "target", "weights", "damping", "residual", "jacobian", "objective", "stationarity", "gradient",
            "free", "curvature", "prefers_inner", "failures",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name)[rows])
        if self.inner is not None:
            self.inner = self.inner[rows]

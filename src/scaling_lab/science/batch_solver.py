"""Least squares of B_crit(L) on a batch scan: all hyperbolas together, many resamples at once.

S = S_min (1 + B_crit(L) / B) in the logarithm of the steps. Each target loss has an S_min of its own, which least
squares give in closed form, so that two parameters are left: log B_crit at a middle loss, and 1 / alpha_B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaling_lab.science.batch_scan import BatchScan
from scaling_lab.science.laws import Array

REACH = 30.0  # how far outside the batches that were tried a critical batch is looked for
_ITERATIONS = 80


@dataclass(frozen=True)
class Profile:
    """The scan in logarithms: log batch and log loss from its middle [n], and membership of targets [n, K]."""

    batch: Array
    loss: Array
    middle: float
    member: Array


def profile_of(scan: BatchScan, middle: float | None = None) -> Profile:
    """A scan as the solver takes it; `middle`: the log loss at which B_crit is solved for, by default the mean."""
    log_loss = np.log(scan.loss)
    middle = float(log_loss.mean()) if middle is None else middle
    member = np.asarray(scan.target[:, None] == np.arange(scan.target.max() + 1), dtype=np.float64)
    return Profile(np.log(scan.batch), log_loss - middle, middle, member)


def errors_of(profile: Profile, log_steps: Array, weights: Array, theta: Array) -> tuple[Array, Array, Array]:
    """Residuals and their two derivatives [R, n], each less its weighted mean over the target: so S_min drops out."""
    above = theta[:, :1] - theta[:, 1:] * profile.loss - profile.batch
    share = 1 / (1 + np.exp(-above))

    def centred(values: Array) -> Array:
        total = np.maximum(weights @ profile.member, 1e-300)
        return np.asarray(values - ((weights * values) @ profile.member / total) @ profile.member.T)

    return centred(log_steps - np.logaddexp(0, above)), centred(share), centred(-share * profile.loss)


def descend(profile: Profile, log_steps: Array, weights: Array) -> Array:
    """Damped Gauss-Newton on (log B_crit in the middle, 1 / alpha_B), one row per resample [R, 2]."""
    low, high = profile.batch.min() - np.log(REACH), profile.batch.max() + np.log(REACH)
    theta = np.tile([profile.batch.mean(), 3.0], (len(log_steps), 1))
    damping = np.full(len(theta), 1e-3)
    errors = errors_of(profile, log_steps, weights, theta)
    cost = (weights * errors[0] ** 2).sum(axis=1)
    for _ in range(_ITERATIONS):
        e, j1, j2 = errors
        a, b, c = ((weights * x * y).sum(axis=1) for x, y in ((j1, j1), (j1, j2), (j2, j2)))
        g1, g2 = ((weights * j * e).sum(axis=1) for j in (j1, j2))
        a, c = a * (1 + damping) + 1e-12, c * (1 + damping) + 1e-12
        determinant = np.maximum(a * c - b * b, 1e-300)
        step = np.column_stack([(c * g1 - b * g2) / determinant, (a * g2 - b * g1) / determinant])
        tried = np.clip(theta + np.clip(step, -2, 2), [low, -50.0], [high, 50.0])
        moved = errors_of(profile, log_steps, weights, tried)
        new = (weights * moved[0] ** 2).sum(axis=1)
        better = new < cost
        theta, cost = np.where(better[:, None], tried, theta), np.where(better, new, cost)
        errors = errors_of(profile, log_steps, weights, theta)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-9, 1e9)
    return np.asarray(theta)

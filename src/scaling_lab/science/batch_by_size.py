"""Whether the critical batch is a power of the loss alone: one power of the loss for every size against one for all.

Kaplan et al. 2020, section 5.1: B_crit depends on the loss alone. Points of one cell lie on one curve, so that criteria
which count points, as AICc does, would be far too sure: the powers of the sizes are compared by resampling cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaling_lab.science.batch_scan import BatchScan
from scaling_lab.science.batch_solver import Profile, descend, errors_of, profile_of
from scaling_lab.science.inference import leverage
from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.resampling import BootstrapOptions, design_of, resample
from scaling_lab.science.straight import fit_line


@dataclass(frozen=True)
class SizePowers:
    """The power of each size [s] at one loss that they share: B_crit there and 1 / alpha_B, with draws [s, R].

    growth: power of N by which B_crit grows at that loss; steepening: change of 1 / alpha_B per factor of ten in N.
    Both are 0 where the critical batch is a power of the loss alone.
    """

    loss: float
    params: Array
    batch: Array
    exponent: Array
    batch_draws: Array
    exponent_draws: Array

    @property
    def growth(self) -> tuple[float, Array]:
        """Value, and draws [R]."""
        return _trend(np.log(self.params), np.log(self.batch), np.log(self.batch_draws))

    @property
    def steepening(self) -> tuple[float, Array]:
        """Value, and draws [R]."""
        return _trend(np.log10(self.params), self.exponent, self.exponent_draws)


def compare_sizes(scan: BatchScan, options: BootstrapOptions) -> SizePowers:
    """Fit every size of a scan alone. Raises FitRefusedError for a scan of one size."""
    sizes = np.unique(scan.params)
    if len(sizes) < 2:
        message = f"the batches of one size alone were scanned, N = {sizes[0]:.4g}: nothing to compare it with"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    losses = [scan.loss[scan.params == size] for size in sizes]
    shared = (np.log(max(own.min() for own in losses)) + np.log(min(own.max() for own in losses))) / 2
    rng = np.random.default_rng(options.seed)
    found = [_power(scan.of_size(float(size)), float(shared), options, rng) for size in sizes]
    values, draws = (np.stack([pair[k] for pair in found]) for k in (0, 1))
    return SizePowers(
        float(np.exp(shared)), sizes, np.exp(values[:, 0]), values[:, 1], np.exp(draws[:, :, 0]), draws[:, :, 1]
    )


def _power(scan: BatchScan, middle: float, options: BootstrapOptions, rng: np.random.Generator) -> tuple[Array, Array]:
    """(log B_crit at the middle, 1 / alpha_B) of one size [2] and draws [R, 2]; cells are drawn as a whole."""
    profile, log_steps = profile_of(scan, middle), np.log(scan.steps)
    once = log_steps[None, :], np.ones((1, len(log_steps)))
    theta = descend(profile, *once)
    residuals, *slopes = (part[0] for part in errors_of(profile, *once, theta))
    target, counts = resample(
        log_steps - residuals, log_steps, leverage(_jacobian(profile, slopes), np.ones(len(log_steps))),
        design_of(len(log_steps), scan.cell, None), options, rng, 2, kinked=False,
    )  # fmt: skip
    return theta[0], descend(profile, target, counts)


def _jacobian(profile: Profile, slopes: list[Array]) -> Array:
    return np.column_stack([*slopes, profile.member])


def _trend(log_params: Array, values: Array, draws: Array) -> tuple[float, Array]:
    """Slope of values [s], and of draws [s, R], in the logarithm of N [s]."""
    return float(fit_line(log_params, values).slope), np.asarray(fit_line(log_params[None, :], draws.T).slope)

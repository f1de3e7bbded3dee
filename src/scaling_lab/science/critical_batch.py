"""The critical batch of a batch scan: S = S_min (1 + B_crit(L) / B) at each loss, with B_crit = B* / L^(1 / alpha_B).

All hyperbolas are fitted together, in the logarithm of the steps: each target loss has an S_min of its own, which least
squares give in closed form, so that two parameters are left (Kaplan et al. 2020, Eq 5.1 to 5.3).
"""

# ruff: noqa: N815 - the paper's letters

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaling_lab.science.batch_scan import BatchScan
from scaling_lab.science.batch_solver import REACH, descend, errors_of, profile_of
from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.inference import leverage
from scaling_lab.science.laws import Array, critical_batch
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.resampling import BootstrapOptions, design_of, resample

_GRID = 600


@dataclass(frozen=True)
class CriticalBatch:
    """The fitted law, its residuals (log steps) [n], and S_min, E_min and B_crit of each target's own hyperbola [K]."""

    scan: BatchScan
    B_star: float
    alpha_B: float
    predicted: Array
    residuals: Array
    targets: Array
    params: Array
    own: Array

    def at(self, loss: Array) -> Array:
        """B_crit(L), tokens."""
        return np.asarray(critical_batch(loss, self.B_star, self.alpha_B))

    @property
    def outside(self) -> Array:
        """The targets' losses at which the law's B_crit lies outside the batches that were tried."""
        found, tried = self.at(self.targets), self.scan.batch
        return np.asarray(self.targets[(found < tried.min()) | (found > tried.max())])


def fit_critical_batch(scan: BatchScan) -> CriticalBatch:
    """Fit the law to a scan. Raises FitRefusedError where the batches do not tell B_crit or how it grows."""
    profile = profile_of(scan)
    log_steps, weights = np.log(scan.steps)[None, :], np.ones((1, len(scan.steps)))
    theta = descend(profile, log_steps, weights)
    level, slope = theta[0]
    at_middle = float(np.exp(level))
    if slope <= 0 or len(np.unique(scan.target)) < 2:
        message = "the critical batch does not grow as the loss falls in these runs"
        raise FitRefusedError(RefusalCode.NOT_IDENTIFIED, message)
    if not scan.batch.min() < at_middle < scan.batch.max():
        message = f"B_crit is about {at_middle:.3g} tokens, outside the batches tried"
        tried = f"{scan.batch.min():.3g} to {scan.batch.max():.3g}"
        raise FitRefusedError(RefusalCode.NOT_IDENTIFIED, f"{message}, {tried}: they must span it on both sides")
    residuals = errors_of(profile, log_steps, weights, theta)[0][0]
    first = np.unique(scan.target, return_index=True)[1]
    return CriticalBatch(
        scan, float(np.exp(level + slope * profile.middle)), float(1 / slope), np.exp(log_steps[0] - residuals),
        residuals, scan.loss[first], scan.params[first], _own(scan, log_steps)[0],
    )  # fmt: skip


def bootstrap_critical_batch(found: CriticalBatch, options: BootstrapOptions) -> Draws:
    """Draws of B_star and alpha_B, and of each target's own B_crit as `own_{k}`.

    A cell, one batch of one size, is drawn as a whole: its losses lie on one curve. A draw in which B_crit does
    not grow failed.
    """
    scan, profile = found.scan, profile_of(found.scan)
    share = 1 / (1 + scan.batch / found.at(scan.loss))
    jacobian = np.column_stack([share, -share * profile.loss, profile.member])
    rng, log_steps = np.random.default_rng(options.seed), np.log(scan.steps)
    target, counts = resample(
        log_steps - found.residuals, log_steps, leverage(jacobian, np.ones(len(log_steps))),
        design_of(len(log_steps), scan.cell, None), options, rng, 2, kinked=False,
    )  # fmt: skip
    theta = descend(profile, target, counts)
    good = theta[:, 1] > 0
    with np.errstate(over="ignore"):
        values = {"B_star": np.exp(theta[:, 0] + theta[:, 1] * profile.middle), "alpha_B": 1 / theta[:, 1]}
    own = _own(scan, target)
    values |= {f"own_{k}": own[:, k, 2] for k in range(own.shape[1])}
    return Draws(
        {name: drawn[good] for name, drawn in values.items()}, options.resamples, {"no_growth": int((~good).sum())}
    )


def _own(scan: BatchScan, log_steps: Array) -> Array:
    """S_min, E_min and B_crit of each target's own hyperbola [R, K, 3], by search over log B_crit."""
    log_critical = np.log(np.geomspace(scan.batch.min() / REACH, scan.batch.max() * REACH, _GRID))
    found = []
    for k in range(scan.target.max() + 1):
        rows = scan.target == k
        model = np.logaddexp(0, log_critical[:, None] - np.log(scan.batch[rows]))  # [grid, m]
        errors = log_steps[:, rows][:, None, :] - model
        fewest = errors.mean(axis=2)
        best = ((errors - fewest[..., None]) ** 2).sum(axis=2).argmin(axis=1)
        s_min = np.exp(fewest[np.arange(len(best)), best])
        critical = np.exp(log_critical[best])
        found.append(np.column_stack([s_min, s_min * critical, critical]))
    return np.stack(found, axis=1)

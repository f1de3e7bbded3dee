"""Uncertainty of Approach 2: new noise on the accepted profiles, every vertex found again, the power laws refitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.isoflop import IsoFlopFit, Profile, TokenCost
from scaling_lab.science.laws import Array
from scaling_lab.science.parabola import drawn_minima
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.resampling import BootstrapOptions
from scaling_lab.science.valley import akima_vertices


def bootstrap_isoflop(fit: IsoFlopFit, cost: TokenCost, options: BootstrapOptions) -> Draws:
    """Draws of a, b, their coefficients and every vertex, from new noise on the accepted profiles.

    Runs are not resampled: five points seldom leave three distinct sizes. The noise is that of the residuals of all
    budgets together, with the degrees of freedom their parabolas left, or `options.noise` times the loss if that is
    larger; its own uncertainty is drawn too (a Student distribution). A budget whose drawn vertex is refused is left
    out of that draw; with fewer than two it failed.
    """
    rng = np.random.default_rng(options.seed)
    accepted, count = fit.accepted, options.resamples
    spread, freedom = pooled_noise(accepted)
    scale = spread * np.sqrt(freedom / rng.chisquare(freedom, count)) if freedom else np.full(count, spread)
    vertices = np.full((count, len(accepted)), np.nan)
    for column, profile in enumerate(accepted):
        noise = np.maximum(scale, options.noise * float(profile.loss.mean()))
        vertices[:, column] = _drawn_vertices(profile, noise, rng)
    budgets = np.array([p.flops for p in accepted])
    used = np.isfinite(vertices)
    tokens = budgets / cost(np.where(used, vertices, 1.0))
    a, params_coefficient = fit_power_line(budgets, vertices, used.astype(np.float64))
    b, tokens_coefficient = fit_power_line(budgets, tokens, used.astype(np.float64))
    good = used.sum(axis=1) >= 2
    values = {
        "a": a[good], "b": b[good],
        "params_coefficient": params_coefficient[good], "tokens_coefficient": tokens_coefficient[good],
    }  # fmt: skip
    return Draws(values, count, {"fewer_than_two_vertices": int((~good).sum())})


def pooled_noise(profiles: Sequence[Profile]) -> tuple[float, int]:
    """Standard deviation of the residuals of all parabolas, in nats, and its degrees of freedom."""
    freedom = sum(max(len(p.loss) - 3, 0) for p in profiles)
    squares = sum(float(np.sum(p.residuals**2)) for p in profiles)
    return (float(np.sqrt(squares / freedom)) if freedom else 0.0), freedom


def _drawn_vertices(profile: Profile, noise: Array, rng: np.random.Generator) -> Array:
    """Vertices [count] of noisy profiles with standard deviations `noise` [count]; NaN where refused."""
    x = np.log(profile.params) - profile.centre
    errors = noise[:, None] * rng.standard_normal((len(noise), len(x)))
    if profile.method == "akima":
        return np.exp(profile.centre + akima_vertices(x, profile.loss + errors))
    return np.exp(profile.centre + drawn_minima(x, profile.predict(profile.params) + errors))

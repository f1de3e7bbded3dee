"""Uncertainty of Approach 2: new noise on the accepted profiles, every vertex found again, the power laws refitted.

Where losses depart from their law, every draw also shifts the profiles by a departure of its own (`departure.py`). What
lack of fit says of its size is what no parabolas with their minima on one power law could explain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.departed_line import bends_of
from scaling_lab.science.departure import Departures, departure_size
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
    out of that draw; with fewer than two it failed. With `options.departure` the draws also hold each its departure and
    the bends of the valleys, for `departed_line.best_on_line`.
    """
    rng = np.random.default_rng(options.seed)
    accepted, count = fit.accepted, options.resamples
    spread, freedom = pooled_noise(accepted)
    scale = spread * np.sqrt(freedom / rng.chisquare(freedom, count)) if freedom else np.full(count, spread)
    departures = _departures(fit, cost, options)
    vertices = np.full((count, len(accepted)), np.nan)
    for column, profile in enumerate(accepted):
        noise = np.maximum(scale, options.noise * float(profile.loss.mean()))
        shifts = 0.0 if departures is None else departures.shifts(tuple(_places(profile, cost).T))
        vertices[:, column] = _drawn_vertices(profile, noise, shifts, rng)
    values, good = _power_laws(np.array([p.flops for p in accepted]), vertices, cost)
    failed = {"fewer_than_two_vertices": int((~good).sum())}
    if departures is None:
        return Draws(values, count, failed)
    values |= {name: column[good] for name, column in departures.columns.items()}
    values |= {name: np.full(good.sum(), value) for name, value in bends_of(accepted).items()}
    return Draws(values, count, failed, departures.believed)


def pooled_noise(profiles: Sequence[Profile]) -> tuple[float, int]:
    """Standard deviation of the residuals of all parabolas, in nats, and its degrees of freedom."""
    freedom = sum(max(len(p.loss) - 3, 0) for p in profiles)
    squares = sum(float(np.sum(p.residuals**2)) for p in profiles)
    return (float(np.sqrt(squares / freedom)) if freedom else 0.0), freedom


def _power_laws(budgets: Array, vertices: Array, cost: TokenCost) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """The laws through the vertices [count, budgets] of every draw that has two or more, and which draws have."""
    used = np.isfinite(vertices)
    good = np.asarray(used.sum(axis=1) >= 2)
    tokens = budgets / cost(np.where(used, vertices, 1.0))
    a, params_coefficient = fit_power_line(budgets, vertices, used.astype(np.float64))
    b, tokens_coefficient = fit_power_line(budgets, tokens, used.astype(np.float64))
    values = {
        "a": a[good], "b": b[good],
        "params_coefficient": params_coefficient[good], "tokens_coefficient": tokens_coefficient[good],
    }  # fmt: skip
    return values, good


def _drawn_vertices(profile: Profile, noise: Array, shifts: Array | float, rng: np.random.Generator) -> Array:
    """Vertices [count] of profiles with noise of standard deviations `noise` [count], whose log losses move by `shifts`
    [count, n]; NaN where refused."""
    x = np.log(profile.params) - profile.centre
    errors, moved = noise[:, None] * rng.standard_normal((len(noise), len(x))), np.exp(shifts)
    if profile.method == "akima":
        return np.exp(profile.centre + akima_vertices(x, (profile.loss + errors) * moved))
    return np.exp(profile.centre + drawn_minima(x, (profile.predict(profile.params) + errors) * moved))


def _departures(fit: IsoFlopFit, cost: TokenCost, options: BootstrapOptions) -> Departures | None:
    """The draws' own departures; None where the losses follow their law."""
    if not options.departure:
        return None
    residuals, jacobian = _misfit(fit)
    places = np.vstack([_places(profile, cost) for profile in fit.accepted])
    size = departure_size(residuals, jacobian, places, options.departure)
    return Departures.drawn(size, options.resamples, options.seed)


def _places(profile: Profile, cost: TokenCost) -> Array:
    """log N and log D of the runs [n, 2]."""
    return np.column_stack([np.log(profile.params), np.log(profile.flops / cost(profile.params))])


def _misfit(fit: IsoFlopFit) -> tuple[Array, Array]:
    """Log losses [n] less those of parabolas with their minima on the power law, and the Jacobian [n, 2 + 2 budgets] of
    their logarithm: the power law's two parameters, the depth and the curvature of every parabola."""
    accepted = fit.accepted
    residuals, rows = [], []
    for row, profile in enumerate(accepted):
        vertex, curvature = profile.vertex, profile.coefficients[0]
        assert vertex is not None  # of accepted profiles
        away = np.log(profile.params / (fit.params_coefficient * profile.flops**fit.a))
        loss = vertex.loss + curvature * away**2
        block = np.zeros((len(loss), 2 + 2 * len(accepted)))
        block[:, :2] = -2 * curvature * away[:, None] * [1.0, np.log(profile.flops)]
        block[:, 2 + 2 * row : 4 + 2 * row] = np.column_stack([np.ones_like(away), away**2])
        residuals.append(np.log(profile.loss / loss))
        rows.append(block / loss[:, None])
    return np.concatenate(residuals), np.vstack(rows)

"""The minimum of an IsoFLOP profile by other ways than one parabola, and the bias of the grid it was measured on.

A parabola on a wide, lopsided or off-centre grid is biased on a noise-free surface (papers.md E.9, F11; Open-Athena
2026). Akima interpolation (Porian et al. 2024) assumes no shape, a re-centred parabola a narrow one; the bias of the
grid that was used follows from a fitted surface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import Akima1DInterpolator

from scaling_lab.science.isoflop import (
    MINIMUM_SIZES,
    USUAL_SIZES,
    Profile,
    TokenCost,
    Vertex,
    fit_isoflop,
    fit_profile,
)
from scaling_lab.science.laws import Array, Law
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

_STEPS = 512  # of the search for a minimum between the sizes
_ROUNDS = 20


def with_akima(profile: Profile, cost: TokenCost) -> Profile:
    """The same losses with the minimum of an Akima interpolant of loss in log N (Porian et al. 2024, appendix B).

    Runs of one size are averaged. Refused below four sizes and where the lowest loss is at the smallest or the largest.
    """
    if len(np.unique(profile.params)) < MINIMUM_SIZES:
        return replace(profile, method="akima")
    x = np.log(profile.params) - profile.centre
    at = float(akima_vertices(x, profile.loss[None, :])[0])
    if not np.isfinite(at):
        message = f"the lowest loss at {profile.flops:.3g} FLOPs is at the edge of the sizes trained"
        refusal = FitRefusedError(RefusalCode.EDGE_OPTIMUM, message)
        return replace(profile, method="akima", vertex=None, tokens=None, refusal=refusal, warnings=())
    curve = Akima1DInterpolator(*_averaged(x, profile.loss[None, :]), axis=1)
    params = float(np.exp(profile.centre + at))
    error = profile.vertex.log_params_error if profile.vertex else float("nan")
    vertex = Vertex(params, float(curve(at)[0]), float(curve(at, 2)[0]), error)
    tokens = float(profile.flops / cost(params))
    return replace(profile, method="akima", vertex=vertex, tokens=tokens, refusal=None)


def akima_vertices(x: Array, losses: Array) -> Array:
    """Minima [count] of Akima interpolants through losses [count, n] at x [n]; NaN where the minimum is at an end."""
    sizes, means = _averaged(x, losses)
    curve, grid = Akima1DInterpolator(sizes, means, axis=1), np.linspace(sizes[0], sizes[-1], _STEPS)
    values = curve(grid)
    best = np.argmin(values, axis=1)
    inside = (best > 0) & (best < _STEPS - 1)
    row, middle = np.arange(len(values)), np.clip(best, 1, _STEPS - 2)
    left, centre, right = (values[row, middle + shift] for shift in (-1, 0, 1))
    bend = left - 2 * centre + right
    shift = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1.0), 0.0)
    return np.where(inside, grid[middle] + shift * (grid[1] - grid[0]), np.nan)


def recentred(profile: Profile, cost: TokenCost, factor: float = 4.0) -> Profile:
    """The parabola through the sizes within `factor` of its own vertex, repeated until the sizes stay the same.

    Where fewer than five sizes are left, or the vertex is refused on the way, the profile is returned as it was.
    """
    current = profile
    for _ in range(_ROUNDS):
        if current.vertex is None:
            return profile
        near = np.abs(np.log(profile.params / current.vertex.params)) <= np.log(factor) + 1e-9
        if len(np.unique(profile.params[near])) < USUAL_SIZES:
            return profile
        if np.array_equal(np.sort(profile.params[near]), np.sort(current.params)):
            return current
        current = fit_profile(profile.flops, profile.params[near], profile.loss[near], cost)
    return profile


@dataclass(frozen=True)
class GridBias:
    """What Approach 2 would find on a noise-free surface with the sizes that were trained.

    ratio: vertex over true optimum, per accepted budget; exponent: found and true a over the same budgets.
    """

    flops: Array
    ratio: Array
    exponent_found: float
    exponent_true: float

    @property
    def exponent_shift(self) -> float:
        """To be subtracted from the measured a."""
        return self.exponent_found - self.exponent_true


def grid_bias(profiles: Sequence[Profile], law: Law, parameters: Mapping[str, float], cost: TokenCost) -> GridBias:
    """Bias of the parabolas of `profiles` if `law`, of N and D, were exact. Raises FitRefusedError.

    Each profile keeps its sizes, its budget and its method.
    """
    exact = []
    for profile in profiles:
        tokens = profile.flops / cost(profile.params)
        loss = law.predict(parameters, {"N": profile.params, "D": tokens})
        clean = fit_profile(profile.flops, profile.params, loss, cost)
        exact.append(with_akima(clean, cost) if profile.method == "akima" else clean)
    fit = fit_isoflop(exact)
    flops = np.array([p.flops for p in fit.accepted])
    found = np.array([p.vertex.params for p in fit.accepted if p.vertex])
    within = (float(found.min()) / 1e3, float(found.max()) * 1e3)
    true = numerical_optimum(parameters, flops, cost, within, law.function).params
    return GridBias(flops, found / true, fit.a, float(fit_power_line(flops, true)[0]))


def _averaged(x: Array, losses: Array) -> tuple[Array, Array]:
    """Distinct x [m] and the mean losses [count, m] there."""
    sizes, index = np.unique(np.round(x, 12), return_inverse=True)
    share = np.eye(len(sizes))[index.ravel()]
    return sizes, losses @ share / share.sum(axis=0)

"""Approach 2 of Hoffmann et al. 2022: per budget a parabola of loss in log N, power laws through the vertices.

A vertex outside the sizes that were trained, a parabola that opens downwards or one that is flat within its error is
refused with a typed reason rather than extrapolated. `valley.py` has the other ways to a minimum and the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scaling_lab.science.laws import Array
from scaling_lab.science.parabola import Words, coefficient_covariance, minimum_of
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

MINIMUM_SIZES, USUAL_SIZES, MINIMUM_BUDGETS = 4, 5, 3


@dataclass(frozen=True)
class Vertex:
    """The minimum of a parabola: N, loss in nats, second derivative of the loss in log N, asymptotic error of log N."""

    params: float
    loss: float
    curvature: float
    log_params_error: float


@dataclass(frozen=True)
class Profile:
    """One budget. `vertex` is None when refused; `coefficients` are of log(N) - centre, highest power first."""

    flops: float
    params: Array
    loss: Array
    centre: float
    coefficients: Array
    residuals: Array
    vertex: Vertex | None
    tokens: float | None
    refusal: FitRefusedError | None
    warnings: tuple[str, ...]
    method: Literal["parabola", "akima"] = "parabola"  # how the vertex was found

    def predict(self, params: Array) -> Array:
        """Loss in nats on the parabola."""
        return np.asarray(np.polyval(self.coefficients, np.log(params) - self.centre))


@dataclass(frozen=True)
class IsoFlopFit:
    """N_opt ~ C^a and D_opt ~ C^b through the accepted vertices."""

    profiles: tuple[Profile, ...]
    a: float
    b: float
    params_coefficient: float
    tokens_coefficient: float

    @property
    def accepted(self) -> tuple[Profile, ...]:
        """Profiles with a usable vertex."""
        return tuple(profile for profile in self.profiles if profile.vertex is not None)


@dataclass(frozen=True)
class TokenCost:
    """Training FLOPs per token against N, interpolated between the sizes of a study in log-log, ends extended."""

    params: Array
    flops_per_token: Array

    def __call__(self, params: Array | float) -> Array:
        """FLOPs per token of a model of `params` parameters."""
        sizes, first = np.unique(self.params, return_index=True)
        log_n, log_f = np.log(sizes), np.log(self.flops_per_token[first])
        x = np.log(np.asarray(params, dtype=np.float64))
        if len(sizes) == 1:
            return np.asarray(np.exp(log_f[0] + x - log_n[0]))
        slope = np.diff(log_f) / np.diff(log_n)
        piece = np.clip(np.searchsorted(log_n, x) - 1, 0, len(slope) - 1)
        return np.asarray(np.exp(log_f[piece] + slope[piece] * (x - log_n[piece])))


def fit_profile(flops: float, params: Array, loss: Array, cost: TokenCost) -> Profile:
    """Parabola of loss in log N at one budget. A refusal is part of the profile, so that a figure can show it.

    params, loss: [n], several runs of a size allowed. cost: FLOPs per token of N, which turns N_opt into D_opt.
    """
    sizes = np.unique(params)
    centre = float(np.mean(np.log(params)))
    if len(sizes) < MINIMUM_SIZES:
        message = f"{len(sizes)} sizes at {flops:.3g} FLOPs; at least {MINIMUM_SIZES} are needed"
        refusal = FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
        return Profile(flops, params, loss, centre, np.full(3, np.nan), loss * np.nan, None, None, refusal, ())
    x = np.log(params) - centre
    coefficients = np.polyfit(x, loss, 2)
    residuals = loss - np.polyval(coefficients, x)
    try:
        vertex = _vertex(flops, sizes, centre, coefficients, coefficient_covariance(x, residuals))
    except FitRefusedError as refusal:
        return Profile(flops, params, loss, centre, coefficients, residuals, None, None, refusal, ())
    tokens = float(flops / cost(vertex.params))
    notes = _warnings(flops, sizes, vertex, x, loss, centre)
    return Profile(flops, params, loss, centre, coefficients, residuals, vertex, tokens, None, notes)


def fit_isoflop(profiles: Sequence[Profile]) -> IsoFlopFit:
    """Power laws through the vertices of at least three accepted profiles. Raises FitRefusedError otherwise."""
    accepted = [p for p in profiles if p.vertex is not None]
    if len(accepted) < MINIMUM_BUDGETS:
        codes = [p.refusal.code for p in profiles if p.refusal is not None]
        code = codes[0] if codes and len(set(codes)) == 1 else RefusalCode.TOO_FEW_POINTS
        reasons = "; ".join(str(p.refusal) for p in profiles if p.refusal is not None)
        message = f"{len(accepted)} of {len(profiles)} budgets have a usable vertex; at least {MINIMUM_BUDGETS}"
        raise FitRefusedError(code, f"{message} are needed. {reasons}".strip())
    budgets = np.array([p.flops for p in accepted])
    a, params_coefficient = fit_power_line(budgets, np.array([p.vertex.params for p in accepted if p.vertex]))
    b, tokens_coefficient = fit_power_line(budgets, np.array([p.tokens for p in accepted], dtype=np.float64))
    return IsoFlopFit(tuple(profiles), float(a), float(b), float(params_coefficient), float(tokens_coefficient))


def _vertex(flops: float, sizes: Array, centre: float, coefficients: Array, covariance: Array) -> Vertex:
    words = Words(f"{flops:.3g} FLOPs", "N", f"sizes trained, {sizes[0]:.4g} to {sizes[-1]:.4g}")
    low, high = np.log(sizes[[0, -1]]) - centre
    found = minimum_of(coefficients, covariance, low, high, words)
    return Vertex(float(np.exp(centre + found.at)), found.loss, found.curvature, found.error)


def _warnings(flops: float, sizes: Array, vertex: Vertex, x: Array, loss: Array, centre: float) -> tuple[str, ...]:
    notes = []
    if len(sizes) < USUAL_SIZES:
        notes.append(f"{len(sizes)} sizes at {flops:.3g} FLOPs; {USUAL_SIZES} or more are usual")
    if min((sizes < vertex.params).sum(), (sizes > vertex.params).sum()) < 2:
        notes.append(f"fewer than two sizes on one side of the minimum at {flops:.3g} FLOPs")
    if len(sizes) >= USUAL_SIZES:
        shift = cubic_shift(x, loss, float(np.log(vertex.params)) - centre)
        if shift is not None and abs(shift) > max(0.1, 2 * vertex.log_params_error):
            notes.append(f"a cubic moves the minimum at {flops:.3g} FLOPs by {100 * np.expm1(shift):+.0f} % in N")
    return tuple(notes)


def cubic_shift(x: Array, loss: Array, vertex: float) -> float | None:
    """How far in log N the nearest minimum of a cubic lies from the parabola's vertex; None if it has no minimum.

    A wide grid around a lopsided valley biases the parabola (papers.md E.9); the shift shows by how much.
    """
    cubic = np.polyfit(x, loss, 3)
    turning = np.roots(np.polyder(cubic))
    minima = [float(t.real) for t in turning if abs(t.imag) < 1e-12 and np.polyval(np.polyder(cubic, 2), t.real) > 0]
    return min(minima, key=lambda t: abs(t - vertex)) - vertex if minima else None

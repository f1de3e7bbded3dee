"""Asymptotics of an M-estimate: covariance, delta-method errors, the pull of each run, information criteria."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scaling_lab.science.laws import Array, Law


def covariance(jacobian: Array, residuals: Array, weights: Array, delta: float) -> Array:
    """Asymptotic covariance of an M-estimate [P, P].

    Equal weights: (J'J)^-1 times E psi^2 / (E psi')^2 (Huber and Ronchetti 2009, Eq 7.41), with n / (n - P) for the
    parameters taken. Unequal weights: the sandwich that assumes nothing of the noise of single runs (White 1980).
    """
    n, count = jacobian.shape
    psi, slope = np.clip(residuals, -delta, delta), psi_slope(residuals, count, delta)
    correction = n / max(n - count, 1)
    bread = np.linalg.pinv((jacobian * weights[:, None]).T @ jacobian, rcond=1e-14)
    if np.ptp(weights) <= 1e-12 * weights.max():
        return np.asarray(bread * weights[0] * correction * float(np.mean(psi**2)) / slope**2)
    pull = jacobian * (weights * psi)[:, None]
    return np.asarray(bread @ (pull.T @ pull) @ bread * correction / slope**2)


def influence(jacobian: Array, residuals: Array, weights: Array, delta: float) -> Array:
    """How far the parameters (fitted scale) move when a run is left out, to first order [n, P].

    -(J'WJ E psi')^-1 w_i psi_i J_i / (1 - h_i): exact for least squares on a linear law (Cook 1977). For the exact
    shift by refits see `influence.leave_one_out`.
    """
    psi, slope = np.clip(residuals, -delta, delta), psi_slope(residuals, jacobian.shape[1], delta)
    toward = _toward(jacobian, weights)
    own = np.minimum((toward * jacobian).sum(axis=1), 1 - 1e-9)
    return np.asarray(-toward * (psi / (1 - own))[:, None] / slope)


def leverage(jacobian: Array, weights: Array) -> Array:
    """Diagonal of the hat matrix J (J'WJ)^-1 J'W [n]: how much of a run's prediction is its own loss."""
    return np.asarray((_toward(jacobian, weights) * jacobian).sum(axis=1))


def _toward(jacobian: Array, weights: Array) -> Array:
    bread = np.linalg.pinv((jacobian * weights[:, None]).T @ jacobian, rcond=1e-14)
    return np.asarray((jacobian @ bread) * weights[:, None])


def psi_slope(residuals: Array, parameters: int, delta: float) -> float:
    """E psi', a difference quotient over half the residual scale: inside a delta of 1e-3 lie too few runs to count."""
    n = len(residuals)
    scale = 1.4826 * float(np.median(np.abs(residuals))) * np.sqrt(n / max(n - parameters, 1))
    width = float(0.5 * scale)
    if not np.isfinite(delta) or width < delta / 4:
        return 1.0
    rise = np.clip(residuals + width, -delta, delta) - np.clip(residuals - width, -delta, delta)
    return max(float(np.mean(rise)) / (2 * width), 1e-300)


def standard_errors_of(functions: Mapping[str, Any], law: Law, theta: Array, spread: Array) -> dict[str, float]:
    """Delta-method standard errors of functions of the named parameters, derivatives by the complex step.

    spread: the covariance of theta [P, P].
    """
    errors = {}
    for name, function in functions.items():
        gradient = np.empty(len(theta))
        for j in range(len(theta)):
            moved = theta.astype(np.complex128)
            moved[j] += 1e-200j
            gradient[j] = complex(function(law.natural(moved))).imag / 1e-200
        errors[name] = float(np.sqrt(max(float(gradient @ spread @ gradient), 0.0)))
    return errors


def gaussian_criteria(residuals: Array, parameters: int) -> dict[str, float]:
    """AIC and its small-sample correction for log residuals taken as Gaussian; compare least-squares fits only."""
    n, k = len(residuals), parameters + 1
    aic = n * float(np.log(np.mean(residuals**2) + 1e-300)) + 2 * k
    return {"aic": aic, "aicc": aic + 2 * k * (k + 1) / (n - k - 1)} if n > k + 1 else {"aic": aic}

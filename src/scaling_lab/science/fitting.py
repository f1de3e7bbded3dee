"""Fit a law to runs: many starts, a tight polish, evidence that the optimum is one, or a typed refusal.

The objective is the SUM over runs of Huber_delta(log predicted - log measured loss) (Hoffmann et al. 2022, Eq 3); its
mean, with an optimiser's default tolerances, stops early and moves the exponents (papers.md E.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scaling_lab.science.descent import Descent, Problem, descend
from scaling_lab.science.laws import Array, Law
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

ObjectiveName = Literal["huber", "squares", "lad"]

_LAD_DELTA = 1e-6  # least absolute deviations is Huber with a delta far below any residual of a real run
_SAME_BASIN = 1e-3  # relative difference of objectives that counts as the same optimum
_MAX_CONDITION = 1e7
_START_ITERATIONS, _POLISH_ITERATIONS = 120, 400


@dataclass(frozen=True)
class Objective:
    """What is minimised over log residuals: Huber with `delta`, squares / 2, or absolute deviations."""

    name: ObjectiveName = "huber"
    delta: float = 1e-3

    @property
    def threshold(self) -> float:
        """Huber's delta that realises the objective."""
        return {"huber": self.delta, "squares": np.inf, "lad": _LAD_DELTA}[self.name]

    @property
    def tolerance(self) -> float:
        """Largest relative projected gradient of an accepted optimum."""
        return {"huber": 1e-5, "squares": 1e-7, "lad": 1e-3}[self.name]

    @property
    def refit_tolerance(self) -> float:
        """The same for a bootstrap refit, which needs no more digits than the spread it contributes to."""
        return min(100 * self.tolerance, 0.1)

    def value(self, huber: float) -> float:
        """The objective in its own unit: sum of Huber terms, sum of squares / 2, or sum of absolute deviations."""
        return huber / _LAD_DELTA if self.name == "lad" else huber


@dataclass(frozen=True)
class FitResult:
    """A law fitted to runs. Arrays are in the order of the runs or of `law.parameter_names`."""

    law: Law
    objective: Objective
    parameters: dict[str, float]
    standard_errors: dict[str, float]
    derived: dict[str, float]
    derived_errors: dict[str, float]
    theta: Array  # fitted scale [P]
    covariance: Array  # of theta [P, P], asymptotic
    variables: dict[str, Array]
    loss: Array
    predicted: Array
    residuals: Array  # log measured - log predicted
    objective_value: float  # the sum
    starts: int
    share_at_best: float
    bounds_hit: tuple[str, ...]
    condition_number: float
    stationarity: float  # relative projected gradient at the optimum
    r_squared_log: float
    warnings: tuple[str, ...] = ()
    status: str = "converged"

    def predict(self, variables: Mapping[str, Any]) -> Array:
        """Loss in nats at other values of the law's variables."""
        return self.law.predict(self.parameters, variables)


def fit_law(
    law: Law,
    variables: Mapping[str, Array],
    loss: Array,
    objective: Objective | None = None,
    starts: Array | None = None,
) -> FitResult:
    """Fit `law` to runs with `variables` [n] each and `loss` [n] in nats, all positive.

    starts: [S, P] in the fitted scale; the law's own grid by default. Raises FitRefusedError with a typed reason.
    """
    chosen = objective or Objective()
    _check_design(law, variables)
    problem = Problem(law, {name: np.log(variables[name]) for name in law.variables}, chosen.threshold)
    grid = law.start_grid() if starts is None else starts
    target, weights = np.log(loss), np.ones(len(loss))
    found = descend(problem, grid, target, weights, _START_ITERATIONS)
    best = polish(problem, found, target, weights)
    share = _share_at(found.objective, float(best.objective[0]), len(loss))
    if share * len(grid) < 2 and len(grid) > 1:
        raise FitRefusedError(
            RefusalCode.NOT_CONVERGED, f"only {share * len(grid):.0f} of {len(grid)} starts reach the best"
        )
    return _result(problem, chosen, best, variables, loss, len(grid), share)


def polish(problem: Problem, found: Descent, target: Array, weights: Array, keep: int = 8) -> Descent:
    """The best row of `found` after a long descent of its best few, as a Descent of one row.

    With a small delta the last approach passes through larger ones, so that no kink stops it.
    """
    best = found.theta[np.argsort(found.objective)[:keep]]
    if problem.delta < 1e-4:
        for factor in (1e3, 1e2, 1e1):
            softer = Problem(problem.law, problem.logs, problem.delta * factor)
            best = np.concatenate([best, descend(softer, best[:keep], target, weights, _POLISH_ITERATIONS).theta])
    final = descend(problem, best, target, weights, _POLISH_ITERATIONS)
    winner = int(np.argmin(final.objective))
    near = np.flatnonzero(final.objective <= final.objective[winner] * (1 + 1e-9))
    winner = int(near[np.argmin(final.stationarity[near])])
    return Descent(final.theta[[winner]], final.objective[[winner]], final.stationarity[[winner]])


def noise_free_objective(points: int, delta: float) -> float:
    """The objective below which residuals are rounding errors (1e-10 of the loss)."""
    return 0.5 * points * min(1e-10, delta) ** 2


def standard_errors_of(functions: Mapping[str, Any], law: Law, theta: Array, covariance: Array) -> dict[str, float]:
    """Delta-method standard errors of functions of the named parameters, derivatives by the complex step."""
    errors = {}
    for name, function in functions.items():
        gradient = np.empty(len(theta))
        for j in range(len(theta)):
            moved = theta.astype(np.complex128)
            moved[j] += 1e-200j
            gradient[j] = complex(function(law.natural(moved))).imag / 1e-200
        errors[name] = float(np.sqrt(max(float(gradient @ covariance @ gradient), 0.0)))
    return errors


def gaussian_criteria(residuals: Array, parameters: int) -> dict[str, float]:
    """AIC and its small-sample correction for log residuals taken as Gaussian; compare least-squares fits only."""
    n, k = len(residuals), parameters + 1
    aic = n * float(np.log(np.mean(residuals**2) + 1e-300)) + 2 * k
    return {"aic": aic, "aicc": aic + 2 * k * (k + 1) / (n - k - 1)} if n > k + 1 else {"aic": aic}


def _check_design(law: Law, variables: Mapping[str, Array]) -> None:
    distinct = len(np.unique(np.column_stack([variables[name] for name in law.variables]), axis=0))
    need = len(law.parameters) + 1
    for name in law.variables:
        if len(np.unique(variables[name])) == 1 and distinct >= 1:
            message = f"every run has {name} = {variables[name][0]:.6g}; {law.name} needs it to vary"
            raise FitRefusedError(RefusalCode.SINGLE_VALUE, message)
    if distinct < need:
        message = f"{distinct} distinct points for the {len(law.parameters)} parameters of {law.name}; at least {need}"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)


def _share_at(objectives: Array, best: float, points: int) -> float:
    return float(np.mean(objectives <= best * (1 + _SAME_BASIN) + noise_free_objective(points, 1e-6)))


def _result(
    problem: Problem,
    objective: Objective,
    best: Descent,
    variables: Mapping[str, Array],
    loss: Array,
    starts: int,
    share: float,
) -> FitResult:
    law, theta = problem.law, best.theta[0]
    log_prediction, jacobian = (values[0] for values in law.log_prediction(best.theta, problem.logs))
    residuals = np.log(loss) - log_prediction
    hits = tuple(
        p.name for p, value in zip(law.parameters, theta, strict=True) if value <= p.bounds[0] or value >= p.bounds[1]
    )
    condition = float(np.linalg.cond(jacobian / np.maximum(np.linalg.norm(jacobian, axis=0), 1e-300)))
    _check_optimum(law, objective, best, len(loss), hits, condition)
    covariance = _covariance(jacobian, residuals, problem.delta)
    parameters = {name: float(value) for name, value in law.natural(theta).items()}
    own = {name: (lambda p, name=name: p[name]) for name in law.parameter_names}
    spread = np.sum((np.log(loss) - np.log(loss).mean()) ** 2)
    return FitResult(
        law=law,
        objective=objective,
        parameters=parameters,
        standard_errors=standard_errors_of(own, law, theta, covariance),
        derived={name: float(value) for name, value in law.derive(parameters).items()},
        derived_errors=standard_errors_of(law.derived, law, theta, covariance),
        theta=theta,
        covariance=covariance,
        variables={name: variables[name] for name in law.variables},
        loss=loss,
        predicted=np.exp(log_prediction),
        residuals=residuals,
        objective_value=objective.value(float(best.objective[0])),
        starts=starts,
        share_at_best=share,
        bounds_hit=hits,
        condition_number=condition,
        stationarity=float(best.stationarity[0]),
        r_squared_log=float(1 - np.sum(residuals**2) / spread) if spread > 0 else 0.0,
    )


def _check_optimum(
    law: Law, objective: Objective, best: Descent, points: int, hits: Sequence[str], condition: float
) -> None:
    if not best.converged(objective.tolerance, noise_free_objective(points, objective.threshold))[0]:
        message = f"relative projected gradient {best.stationarity[0]:.1e} at the best point; {objective.tolerance:.0e}"
        raise FitRefusedError(RefusalCode.NOT_CONVERGED, f"{message} is allowed")
    if hits:
        at = ", ".join(f"{n} = {float(law.natural(best.theta[0])[n]):.4g}" for n in hits)
        raise FitRefusedError(RefusalCode.NOT_IDENTIFIED, f"the best fit of {law.name} lies on a bound: {at}")
    if not condition < _MAX_CONDITION:
        message = f"the runs do not tell the parameters of {law.name} apart (condition number {condition:.1e})"
        raise FitRefusedError(RefusalCode.NOT_IDENTIFIED, message)


def _covariance(jacobian: Array, residuals: Array, delta: float) -> Array:
    """Asymptotic covariance of an M-estimate, (J'J)^-1 times E psi^2 / (E psi')^2 [P, P].

    E psi' is a difference quotient over half the residual scale: inside a delta of 1e-3 lie too few runs to count.
    """
    n, count = jacobian.shape
    freedom = max(n - count, 1)
    scale = 1.4826 * float(np.median(np.abs(residuals))) * np.sqrt(n / freedom)
    psi = np.clip(residuals, -delta, delta)
    width = 0.5 * scale
    if not np.isfinite(delta) or width < delta / 4:
        variance = float(np.sum(residuals**2)) / freedom
    else:
        slope = float(np.mean(np.clip(residuals + width, -delta, delta) - np.clip(residuals - width, -delta, delta)))
        variance = float(np.sum(psi**2)) / freedom / max(slope / (2 * width), 1e-300) ** 2
    return np.asarray(np.linalg.pinv(jacobian.T @ jacobian, rcond=1e-14) * variance)

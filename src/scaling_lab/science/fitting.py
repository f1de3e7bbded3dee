"""Fit a law to runs: many starts, a tight polish, evidence that the optimum is one, or a typed refusal.

The objective is the SUM over runs of Huber_delta(log predicted - log measured loss) (Hoffmann et al. 2022, Eq 3); its
mean, with an optimiser's default tolerances, stops early and moves the exponents (papers.md E.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.science.descent import Descent, Problem, descend
from scaling_lab.science.inference import covariance, gaussian_criteria, influence, leverage, standard_errors_of
from scaling_lab.science.laws import Array, Law
from scaling_lab.science.objective import Objective, ObjectiveName, noise_free_objective
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

__all__ = ["FitResult", "Objective", "ObjectiveName", "fit_law", "gaussian_criteria", "noise_free_objective", "polish"]

_SAME_BASIN = 1e-3  # relative difference of objectives that counts as the same optimum
_MAX_CONDITION = 1e7
_START_ITERATIONS, _POLISH_ITERATIONS = 120, 400


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
    weights: Array  # how much each run counts
    predicted: Array
    residuals: Array  # log measured - log predicted
    leverage: Array  # of each run on its own prediction, to first order [n]
    influence: Array  # shift of theta when a run is left out, first order [n, P]
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
    weights: Array | None = None,
) -> FitResult:
    """Fit `law` to runs with `variables` [n] each and `loss` [n] in nats, all positive.

    starts: [S, P] in the fitted scale; the law's own grid by default. weights: how much each run counts in the sum [n],
    1 by default; runs of weight 0 take no part. Raises FitRefusedError with a typed reason.
    """
    chosen = objective or Objective()
    if weights is not None and np.any(weights == 0):
        used = weights > 0
        variables, loss, weights = {k: v[used] for k, v in variables.items()}, loss[used], weights[used]
    _check_design(law, variables)
    problem = Problem(law, {name: np.log(variables[name]) for name in law.variables}, chosen.threshold)
    grid = law.start_grid() if starts is None else starts
    target, counts = np.log(loss), np.ones(len(loss)) if weights is None else weights
    found = descend(problem, grid, target, counts, _START_ITERATIONS)
    best = polish(problem, found, target, counts)
    share = _share_at(found.objective, float(best.objective[0]), len(loss))
    if share * len(grid) < 2 and len(grid) > 1:
        raise FitRefusedError(
            RefusalCode.NOT_CONVERGED, f"only {share * len(grid):.0f} of {len(grid)} starts reach the best"
        )
    return _result(problem, chosen, best, variables, loss, counts, len(grid), share)


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
    weights: Array,
    starts: int,
    share: float,
) -> FitResult:
    law, theta = problem.law, best.theta[0]
    log_predictions, jacobians = law.log_prediction(best.theta, problem.logs)
    log_prediction, jacobian = log_predictions[0], jacobians[0].T
    residuals = np.log(loss) - log_prediction
    hits = tuple(
        p.name for p, value in zip(law.parameters, theta, strict=True) if value <= p.bounds[0] or value >= p.bounds[1]
    )
    condition = float(np.linalg.cond(jacobian / np.maximum(np.linalg.norm(jacobian, axis=0), 1e-300)))
    _check_optimum(law, objective, best, len(loss), hits, condition)
    spread = covariance(jacobian, residuals, weights, problem.delta)
    parameters = {name: float(value) for name, value in law.natural(theta).items()}
    own = {name: (lambda p, name=name: p[name]) for name in law.parameter_names}
    variation = np.sum((np.log(loss) - np.log(loss).mean()) ** 2)
    return FitResult(
        law=law,
        objective=objective,
        parameters=parameters,
        standard_errors=standard_errors_of(own, law, theta, spread),
        derived={name: float(value) for name, value in law.derive(parameters).items()},
        derived_errors=standard_errors_of(law.derived, law, theta, spread),
        theta=theta,
        covariance=spread,
        variables={name: variables[name] for name in law.variables},
        loss=loss,
        weights=weights,
        predicted=np.exp(log_prediction),
        residuals=residuals,
        leverage=leverage(jacobian, weights),
        influence=influence(jacobian, residuals, weights, problem.delta),
        objective_value=objective.value(float(best.objective[0])),
        starts=starts,
        share_at_best=share,
        bounds_hit=hits,
        condition_number=condition,
        stationarity=float(best.stationarity[0]),
        r_squared_log=float(1 - np.sum(residuals**2) / variation) if variation > 0 else 0.0,
    )


def _check_optimum(
    law: Law, objective: Objective, best: Descent, points: int, hits: Sequence[str], condition: float
) -> None:
    if not best.converged(objective.tolerance, noise_free_objective(points, objective.threshold))[0]:
        message = f"relative projected gradient {best.stationarity[0]:.1e} at the best point; {objective.tolerance:.0e}"
        raise FitRefusedError(RefusalCode.NOT_CONVERGED, f"{message} is allowed")
    if hits:
        at = ", ".join(f"{n} = {float(law.natural(best.theta[0])[n]):.4g}" for n in hits)
        only_offset = tuple(hits) == (law.offset,) and best.theta[0][law.parameter_names.index(hits[0])] <= 0
        code = RefusalCode.OFFSET_CONTAINS_ZERO if only_offset else RefusalCode.NOT_IDENTIFIED
        raise FitRefusedError(code, f"the best fit of {law.name} lies on a bound: {at}")
    if not condition < _MAX_CONDITION:
        message = f"the runs do not tell the parameters of {law.name} apart (condition number {condition:.1e})"
        raise FitRefusedError(RefusalCode.NOT_IDENTIFIED, message)

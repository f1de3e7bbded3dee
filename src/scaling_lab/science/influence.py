"""Which runs hold a fit up: every run left out in turn, all refits at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.descent import Problem, descend
from scaling_lab.science.fitting import FitResult
from scaling_lab.science.laws import Array
from scaling_lab.science.objective import noise_free_objective


@dataclass(frozen=True)
class LeaveOneOut:
    """The law refitted without each run: shifts are refit less estimate, NaN where a refit did not converge."""

    parameters: dict[str, Array]  # [n] each, the refitted values
    derived: dict[str, Array]
    shift: Array  # of theta, in standard errors [n, P]
    converged: NDArray[np.bool_]

    @property
    def strength(self) -> Array:
        """The largest shift of any parameter, in its standard error [n]."""
        return np.asarray(np.max(np.abs(self.shift), axis=1))

    def strongest(self, count: int) -> NDArray[np.intp]:
        """Indices of the runs whose absence moves the law most, strongest first; refits that failed come first."""
        return np.argsort(-np.where(self.converged, self.strength, np.inf), kind="stable")[:count]


def leave_one_out(result: FitResult) -> LeaveOneOut:
    """Refit without each run in turn, from the estimate and from its first-order shift."""
    n, law = len(result.loss), result.law
    problem = Problem(law, {k: np.log(v) for k, v in result.variables.items()}, result.objective.threshold)
    weights = np.tile(result.weights, (n, 1)) * (1 - np.eye(n))
    starts = np.stack([np.tile(result.theta, (n, 1)), result.theta + result.influence], axis=1)
    found = descend(
        problem, starts.reshape(2 * n, -1), np.log(result.loss), np.repeat(weights, 2, axis=0), iterations=200
    )
    pick = 2 * np.arange(n) + np.argmin(found.objective.reshape(n, 2), axis=1)
    good = found.converged(result.objective.refit_tolerance, noise_free_objective(n, problem.delta))[pick]
    theta = np.where(good[:, None], found.theta[pick], np.nan)
    parameters = law.natural(theta)
    errors = np.maximum(np.sqrt(np.diag(result.covariance)), 1e-300)
    return LeaveOneOut(parameters, law.derive(parameters), (theta - result.theta) / errors, good)

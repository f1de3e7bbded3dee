"""Variable projection for the Hoffmann law: an independent way to the optimum of Approach 3 (Open-Athena 2026, VPNLS).

For given exponents the law is linear in E, A and B, so those follow from a non-negative least-squares problem on
relative errors; a grid over the two exponents is left. Its solutions start a descent that shares nothing with the
published grid of 4,500 starts but the objective, and both must find the same optimum.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from scipy.optimize import nnls

from scaling_lab.science.descent import Problem, descend
from scaling_lab.science.fitting import FitResult, polish
from scaling_lab.science.laws import LAWS, Array

EXPONENTS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.1)
_FLOOR = 1e-8  # of a nat: a term that the linear problem switched off restarts from here


def projected_starts(variables: Mapping[str, Array], loss: Array) -> Array:
    """E, A and B solved for on a grid of (alpha, beta): starts [49, 5] in the fitted scale."""
    rows = []
    middle = {name: float(np.exp(np.mean(np.log(values)))) for name, values in variables.items()}
    for alpha, beta in product(EXPONENTS, EXPONENTS):
        size = (variables["N"] / middle["N"]) ** -alpha
        data = (variables["D"] / middle["D"]) ** -beta
        columns = np.column_stack([np.ones_like(loss), size, data]) / loss[:, None]
        offset, of_size, of_data = nnls(columns, np.ones_like(loss))[0]
        log_a = np.log(max(of_size, _FLOOR)) + alpha * np.log(middle["N"])
        log_b = np.log(max(of_data, _FLOOR)) + beta * np.log(middle["D"])
        rows.append([offset, log_a, log_b, alpha, beta])
    return np.array(rows)


def projection_check(result: FitResult) -> dict[str, float | bool]:
    """Refit from projected starts: the objective found, and whether it is that of `result` to 0.1 %."""
    variables, loss = result.variables, result.loss
    problem = Problem(LAWS["hoffmann"], {n: np.log(v) for n, v in variables.items()}, result.objective.threshold)
    target, weights = np.log(loss), np.ones(len(loss))
    found = descend(problem, projected_starts(variables, loss), target, weights, 200)
    best = polish(problem, found, target, weights)
    value = result.objective.value(float(best.objective[0]))
    return {"objective": value, "agrees": bool(abs(value - result.objective_value) <= 1e-3 * value + 1e-15)}

"""Variable projection: an independent way to the optimum of every separable law (Golub and Pereyra 1973; VPNLS 2026).

Most laws are sums of power-law terms c prod_j X_j^(-e_j). For given exponents such a sum is linear in its coefficients,
which follow from a non-negative least-squares problem on relative errors; a grid over the exponents is left. Its
solutions start a descent that shares nothing with the published grid of starts but the objective, and both must find
the same optimum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from scipy.optimize import nnls

from scaling_lab.science.descent import Problem, descend
from scaling_lab.science.fitting import FitResult, Objective, fit_law, polish
from scaling_lab.science.laws import LAWS, Array, Law
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

EXPONENTS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.1)
_FLOOR = 1e-8  # of a nat: a term that the linear problem switched off restarts from here


@dataclass(frozen=True)
class Term:
    """One summand of a separable law: a coefficient times the product of variable^(-sign exponent).

    powers: (variable, exponent parameter, sign) each. form: whether the law's parameter is the coefficient itself
    ("amplitude", A / N^alpha) or the variable's value at which the term is 1 nat ("scale", (Nc / N)^alpha).
    """

    parameter: str
    powers: tuple[tuple[str, str, int], ...] = ()
    form: Literal["amplitude", "scale"] = "amplitude"


SEPARABLE: Mapping[str, tuple[Term, ...]] = {
    "power": (Term("Xc", (("X", "alpha", 1),), "scale"),),
    "power_offset": (Term("E"), Term("Xc", (("X", "alpha", 1),), "scale")),
    "hoffmann": (Term("E"), Term("A", (("N", "alpha", 1),)), Term("B", (("D", "beta", 1),))),
}
"""The separable laws by name: loss = the sum of the terms."""


def projected_starts(variables: Mapping[str, Array], loss: Array, law: str = "hoffmann") -> Array:
    """Coefficients solved for on a grid of the exponents: starts [7^k, P] in the fitted scale. ValueError: not separable."""
    if law not in SEPARABLE:
        raise ValueError(f"{law} is not a sum of power-law terms; separable laws: {', '.join(SEPARABLE)}")
    chosen, terms = LAWS[law], SEPARABLE[law]
    middle = {name: float(np.exp(np.mean(np.log(values)))) for name, values in variables.items()}
    scaled = {name: np.log(values / middle[name]) for name, values in variables.items()}
    rows = []
    for exponents in _grid(terms):
        columns = np.column_stack([np.exp(-_power(term, exponents, scaled)) * np.ones_like(loss) for term in terms])
        coefficients = nnls(columns / loss[:, None], np.ones_like(loss))[0]
        parameters = dict(exponents)
        for term, coefficient in zip(terms, coefficients, strict=True):
            shift = _power(term, exponents, {name: np.log(value) for name, value in middle.items()})
            parameters[term.parameter] = _natural(term, float(coefficient), float(np.sum(shift)), exponents)
        rows.append(chosen.theta(parameters))
    return np.clip(np.array(rows), chosen.lower, chosen.upper)


def fit_projected(
    law: Law,
    variables: Mapping[str, Array],
    loss: Array,
    objective: Objective | None = None,
    weights: Array | None = None,
) -> FitResult:
    """`fit_law` from projected starts: the same optimum hundreds of times cheaper than the published grid."""
    used = {name: variables[name] for name in law.variables}
    for name, values in used.items():
        if np.ptp(values) == 0:
            raise FitRefusedError(RefusalCode.SINGLE_VALUE, f"every run has {name} = {values[0]:.6g}")
    return fit_law(law, variables, loss, objective, projected_starts(used, loss, law.name), weights)


def projection_check(result: FitResult) -> dict[str, float | bool]:
    """Refit from projected starts: the objective found, and whether it is that of `result` to 0.1 %."""
    variables, loss = result.variables, result.loss
    problem = Problem(result.law, {n: np.log(v) for n, v in variables.items()}, result.objective.threshold)
    target = np.log(loss)
    found = descend(problem, projected_starts(variables, loss, result.law.name), target, result.weights, 200)
    best = polish(problem, found, target, result.weights)
    value = result.objective.value(float(best.objective[0]))
    return {"objective": value, "agrees": bool(abs(value - result.objective_value) <= 1e-3 * value + 1e-15)}


def _grid(terms: tuple[Term, ...]) -> Iterator[dict[str, float]]:
    names = list(dict.fromkeys(exponent for term in terms for _, exponent, _ in term.powers))
    for values in product(EXPONENTS, repeat=len(names)):
        yield dict(zip(names, values, strict=True))


def _power(term: Term, exponents: Mapping[str, float], logs: Mapping[str, Array | float]) -> Array:
    """Sum of sign exponent log variable: minus the logarithm of the term without its coefficient."""
    parts = [sign * exponents[exponent] * np.asarray(logs[variable]) for variable, exponent, sign in term.powers]
    return np.asarray(sum(parts, np.zeros(1)))


def _natural(term: Term, coefficient: float, shift: float, exponents: Mapping[str, float]) -> float:
    """The law's parameter from the coefficient of the variables divided by their middle."""
    if not term.powers:
        return coefficient
    log_amplitude = float(np.log(max(coefficient, _FLOOR))) + shift
    if term.form == "scale":
        return float(np.exp(min(log_amplitude / exponents[term.powers[0][1]], 700.0)))
    return float(np.exp(log_amplitude))

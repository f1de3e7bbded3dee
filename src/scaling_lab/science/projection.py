"""Variable projection: an independent way to the optimum of every separable law (Golub and Pereyra 1973; VPNLS 2026).

For given exponents most laws, or a power of them, are linear in what is left: coefficients that follow from a
non-negative least-squares problem on relative errors. A grid over the exponents remains. Its solutions start a descent
that shares nothing with the published grid of starts but the objective, and both must find the same optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.optimize import nnls

from scaling_lab.science.descent import Problem, descend
from scaling_lab.science.fitting import FitResult, Objective, fit_law, polish
from scaling_lab.science.laws import LAWS, Array, Law
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

EXPONENTS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.1)
_FLOOR = 1e-8  # of a nat: a term that the linear problem switched off restarts from here

Exponent = Callable[[Mapping[str, float]], float]


@dataclass(frozen=True)
class Coefficient:
    """A parameter in which the law is linear: itself (A of A / N^alpha), or, with a variable and an exponent, its power
    (Nc of (Nc / N)^alpha)."""

    name: str
    variable: str | None = None
    exponent: Exponent = lambda p: 1.0


@dataclass(frozen=True)
class Separable:
    """Where a law is linear: loss^link is a sum of terms, one per coefficient, that vanish with it."""

    linear: tuple[Coefficient, ...]
    link: Exponent = lambda p: 1.0


_PLAIN = {
    "hoffmann": ("E", "A", "B"),
    "gadre": ("E", "a", "b"),
    "position": ("E_T", "k"),
    "bnsl": ("E", "b"),
    "hyperbola": ("S_min", "E_min"),
    "transfer": ("k",),
    "critical_batch": ("B_star",),
}
SEPARABLE: Mapping[str, Separable] = {
    name: Separable(tuple(Coefficient(c) for c in coefficients)) for name, coefficients in _PLAIN.items()
} | {
    "power": Separable((Coefficient("Xc", "X", lambda p: p["alpha"]),)),
    "power_offset": Separable((Coefficient("E"), Coefficient("Xc", "X", lambda p: p["alpha"]))),
    "kaplan_steps": Separable(
        (Coefficient("Nc", "N", lambda p: p["alpha_N"]), Coefficient("Sc", "S", lambda p: p["alpha_S"]))
    ),
    "kaplan": Separable(
        (Coefficient("Nc", "N", lambda p: p["alpha_N"] / p["alpha_D"]), Coefficient("Dc", "D")),
        lambda p: 1 / p["alpha_D"],
    ),
    "kaplan_symmetric": Separable(
        (Coefficient("Nc", "N", lambda p: p["alpha_N"]), Coefficient("Dc", "D", lambda p: p["alpha_D"])),
        lambda p: 1 / p["beta"],
    ),
}
"""The separable laws by name. `logarithm` is linear and needs no projection; `data_constrained` is not separable."""


def projected_starts(variables: Mapping[str, Array], loss: Array, law: str = "hoffmann") -> Array:
    """Coefficients solved for on a grid of the other parameters: starts [S, P] in the fitted scale.

    variables, loss: [n]. Raises ValueError for a law that is not separable.
    """
    if law not in SEPARABLE:
        raise ValueError(f"{law} is not separable; {', '.join(SEPARABLE)} are")
    chosen, split = LAWS[law], SEPARABLE[law]
    middle = {name: float(np.exp(np.mean(np.log(values)))) for name, values in variables.items()}
    rows = []
    for others in _grid(chosen, split):
        columns, units = _columns(chosen, split, others, variables, middle)
        log_response = split.link(others) * np.log(loss)
        size = columns.max(axis=0)
        shift = log_response.min()
        with np.errstate(all="ignore"):
            scaled = columns / size * np.exp(shift - log_response)[:, None]
        if not np.isfinite(scaled).all():
            continue
        found = nnls(scaled, np.ones_like(loss))[0]
        parameters = dict(others)
        for coefficient, value, unit, largest in zip(split.linear, found, units, size, strict=True):
            power = coefficient.exponent(others)
            amount = np.log(max(float(value), _FLOOR)) + shift - np.log(largest)
            parameters[coefficient.name] = unit * float(np.exp(np.clip(amount / power, -300, 300)))
            if chosen.offset == coefficient.name and value <= 0:
                parameters[coefficient.name] = 0.0
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


def _grid(law: Law, split: Separable) -> Iterator[dict[str, float]]:
    """Every combination of the parameters that are not linear: seven values of an exponent, the law's starts of others.

    With more than two of them the law's own starts are used for all.
    """
    linear = {coefficient.name for coefficient in split.linear}
    others = [p for p in law.parameters if p.name not in linear]
    values = [
        EXPONENTS if len(others) <= 2 and not p.log else tuple(np.exp(p.starts) if p.log else p.starts) for p in others
    ]
    for chosen in product(*values):
        yield {p.name: float(value) for p, value in zip(others, chosen, strict=True)}


def _columns(
    law: Law, split: Separable, others: Mapping[str, float], variables: Mapping[str, Array], middle: Mapping[str, float]
) -> tuple[Array, list[float]]:
    """Each term at its unit [n, K]: the coefficient 1, or the variable's middle for a power; and the units."""
    units = [1.0 if c.variable is None else middle[c.variable] for c in split.linear]
    columns = []
    for one, unit in zip(split.linear, units, strict=True):
        values = {c.name: (unit if c is one else 0.0) for c in split.linear}
        term = law.function(**{name: variables[name] for name in law.variables}, **values, **others)
        columns.append(np.broadcast_to(np.asarray(term, dtype=np.float64) ** split.link(others), _points(variables)))
    return np.column_stack(columns), units


def _points(variables: Mapping[str, Array]) -> int:
    return len(next(iter(variables.values())))

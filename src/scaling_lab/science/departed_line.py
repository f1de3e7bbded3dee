"""N* of a power law at a budget where losses depart from their law: the valley around it, with the departure taken off.

Approaches 1 and 2 know no loss at a budget that was not trained, only where its valley should lie: on the power law
through the minima. How steep valleys are, their bend, the trained budgets show. A valley of that bend around the power
law is a law of N and D, so its departed minimum is found as that of any joint law (`departure.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from scaling_lab.science.departure import COLUMNS, departed
from scaling_lab.science.isoflop import Profile
from scaling_lab.science.laws import Array, Law, Parameter
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.power_line import fit_power_line

_NAMES = ("a", "params_coefficient", "bend_coefficient", "bend_exponent")
_FASTEST = 0.25  # a bend falls as C to this power at most: alpha beta / (alpha + beta) of Hoffmann's law at 1/2, 1/2


def bends_of(profiles: Sequence[Profile]) -> dict[str, float]:
    """Second derivative of the log loss in log N at the minima: bend_coefficient C^bend_exponent; empty without any.

    Kaplan's law has the same bend at every budget, Hoffmann's falls with its reducible loss: the exponent lies between.
    """
    known = [(p.flops, 2 * p.coefficients[0] / p.vertex.loss) for p in profiles if p.vertex is not None]
    flops, bends = np.array([pair for pair in known if pair[1] > 0]).reshape(-1, 2).T
    if not len(flops):
        return {}
    slope = float(fit_power_line(flops, bends)[0]) if len(flops) > 1 else 0.0
    exponent = float(np.clip(slope, -_FASTEST, 0.0))
    coefficient = np.exp(np.mean(np.log(bends) - exponent * np.log(flops)))
    return {"bend_coefficient": float(coefficient), "bend_exponent": exponent}


def best_on_line(
    values: Mapping[str, Any], flops: Any, cost: Callable[[Any], Array], params_range: tuple[float, float]
) -> Array:
    """N* = params_coefficient C^a at `flops` [k]: of an estimate [k] or, departures taken off, of draws [K, k].

    cost: FLOPs per token of N, increasing; params_range: of N, where the draws hold a departure.
    """
    columns = {name: np.asarray(values[name])[..., None] for name in (*_NAMES, *COLUMNS) if name in values}
    if not {*_NAMES, *COLUMNS} <= columns.keys():
        return np.asarray(columns["params_coefficient"] * np.asarray(flops) ** columns["a"])
    law = departed(_valley(cost))
    return numerical_optimum(columns, np.asarray(flops), cost, params_range, law.function).params


def _valley(cost: Callable[[Any], Array]) -> Law:
    """Loss over its least, a parabola of its logarithm in log N around the power law at the cost of N and D."""

    def function(N: Any, D: Any, a: Any, params_coefficient: Any, bend_coefficient: Any, bend_exponent: Any) -> Any:
        log_c = np.log(cost(N) * D)
        away = np.log(N / params_coefficient) - a * log_c
        return np.exp(bend_coefficient * np.exp(bend_exponent * log_c) * away**2 / 2)

    drawn = tuple(Parameter(name, "drawn", False, (-np.inf, np.inf), (0.0,)) for name in _NAMES)
    return Law("valley", "exp(bend(C) log(N / (params_coefficient C^a))^2 / 2)", "", ("N", "D"), drawn, function)

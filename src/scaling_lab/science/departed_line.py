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
from scaling_lab.science.straight import fit_line

_NAMES = ("a", "params_coefficient", "bend_coefficient", "bend_exponent")
_USUAL, _UNUSUAL = -0.1, 0.08  # exponent of the bend: 0 of Kaplan's law at 6 N, -0.05 to -0.2 of Hoffmann's
_UNSURE = 0.2  # of the logarithm of a bend


def bends_of(profiles: Sequence[Profile]) -> dict[str, float]:
    """Second derivative of the log loss in log N at the minima: bend_coefficient C^bend_exponent; empty without any.

    Curvatures are noisy and budgets few: the exponent is their slope, drawn to the usual one by how unsure it is. A
    departure bends neighbouring budgets alike, so each counts as unsure by a fifth at least; a bend never rises.
    """
    known = [(p.flops, 2 * p.coefficients[0] / p.vertex.loss) for p in profiles if p.vertex is not None]
    flops, bends = np.log(np.array([pair for pair in known if pair[1] > 0])).reshape(-1, 2).T
    if not len(flops):
        return {}
    exponent = _USUAL
    if len(flops) > 2:
        line = fit_line(flops, bends)
        away = flops - flops.mean()
        scatter = np.sum((bends - bends.mean() - line.slope * away) ** 2) / (len(flops) - 2)
        trust = _UNUSUAL**2 / (_UNUSUAL**2 + max(scatter, _UNSURE**2) / np.sum(away**2))
        exponent = min(exponent + float(trust * (line.slope - _USUAL)), 0.0)
    return {"bend_coefficient": float(np.exp(np.mean(bends - exponent * flops))), "bend_exponent": exponent}


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

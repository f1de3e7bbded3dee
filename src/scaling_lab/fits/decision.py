"""A plan's quantities as JSON: of the study's plan and of a user's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from scaling_lab.science.laws import Array
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.planner import BudgetPlan, FittedLaw, Quantity
from scaling_lab.science.shapes import ShapeFamily

FRONTIER_POINTS = 60


def quantity_json(quantity: Quantity) -> dict[str, Any]:
    """A value with its intervals."""
    return {"value": quantity.value, "intervals": [asdict(interval) for interval in quantity.intervals]}


def plan_block(plan: BudgetPlan) -> dict[str, Any]:
    """The optimum of a budget with its regret."""
    regret = plan.regret
    return {
        "params_opt": quantity_json(plan.params),
        "tokens_opt": quantity_json(plan.tokens),
        "tokens_per_param": quantity_json(plan.tokens_per_param),
        "loss": quantity_json(plan.loss),
        "regret": {
            "level": regret.level,
            "params": regret.params,
            "loss_nats": regret.loss,
            "loss_nats_high": regret.loss_high,
            "compute_percent": regret.compute_percent,
            "compute_percent_high": regret.compute_percent_high,
        },
    }


def frontier_block(law: FittedLaw, family: ShapeFamily, span: tuple[float, float], level: float) -> dict[str, Any]:
    """N* and D* of a law over `span`, FLOPs, with the band of its draws, for models of the family's proportions."""
    flops = np.geomspace(*span, FRONTIER_POINTS)
    cost, within, function = family.flops_per_token, family.params_range, law.law.function
    best = numerical_optimum(dict(law.parameters), flops, cost, within, function)
    columns = {name: values[:, None] for name, values in law.of_draws().items()}
    drawn = numerical_optimum(columns, flops, cost, within, law.drawn.function)
    return {
        "law": law.law.name,
        "level": level,
        "flops": flops,
        "params_opt": _banded(best.params, drawn.params, level),
        "tokens_opt": _banded(best.tokens, drawn.tokens, level),
    }


def _banded(values: Array, draws: Array, level: float) -> dict[str, Array]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {"value": values, "low": low, "high": high}

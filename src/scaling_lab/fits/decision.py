"""A plan's quantities as JSON: of the study's plan and of a user's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from scaling_lab.science.planner import BudgetPlan, Quantity


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

"""How to train the model of a plan: batch, serial steps and learning rate by named rules, wall time, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scaling_lab.science.hardware import Hardware
from scaling_lab.science.hyperparameters import PUBLISHED_BATCHES, PUBLISHED_RATES, PublishedRule
from scaling_lab.science.laws import Array, critical_batch
from scaling_lab.science.planner import BudgetPlan, Quantity, quantity

KAPLAN_CRITICAL = "critical"


@dataclass(frozen=True)
class CriticalBatch:
    """B_crit(L) = B* / L^(1 / alpha_B) tokens (Kaplan et al. 2020, Eq 5.3), measured on the runs of the law.

    Raises:
        ValueError: a parameter that is not positive.
    """

    at_one_nat: float
    alpha: float

    def __post_init__(self) -> None:
        if not (self.at_one_nat > 0 and self.alpha > 0):
            raise ValueError(f"critical batch {self.at_one_nat:g}, {self.alpha:g}; allowed: two positive numbers")

    def tokens(self, loss: Array | float) -> Array:
        """The critical batch at a loss in nats."""
        return np.asarray(critical_batch(loss, self.at_one_nat, self.alpha), dtype=np.float64)


@dataclass(frozen=True)
class Recipe:
    """Batch in tokens, steps S = D / B, peak learning rate (None where its rule does not hold), wall time in s."""

    batch_rule: str
    rate_rule: str
    batch_tokens: Quantity
    steps: Quantity
    learning_rate: Quantity | None
    wall_seconds: float | None


def training_recipe(
    plan: BudgetPlan,
    batch_rule: str = "step",
    rate_rule: str = "step",
    critical: CriticalBatch | None = None,
    hardware: Hardware | None = None,
) -> Recipe:
    """The recipe of a plan; every draw has its own N*, D* and loss, and thus its own batch, steps and rate.

    batch_rule, rate_rule: names of `PUBLISHED_BATCHES` and `PUBLISHED_RATES`. critical: takes the place of the batch
    rule; at B_crit a run takes twice the fewest steps and twice the fewest tokens that its loss needs.

    Raises:
        ValueError: a rule that does not exist.
    """
    _check(batch_rule, PUBLISHED_BATCHES, "batch rule")
    _check(rate_rule, PUBLISHED_RATES, "learning rate rule")
    sizes, tokens = plan.drawn.params, plan.drawn.tokens
    if critical is None:
        batch = _apply(
            PUBLISHED_BATCHES[batch_rule], np.array([plan.params.value]), np.array([plan.tokens.value]), plan
        )
        batches = _apply(PUBLISHED_BATCHES[batch_rule], sizes, tokens, plan)
    else:
        batch, batches = critical.tokens(np.array([plan.loss.value])), critical.tokens(plan.losses)
    rate = _apply(PUBLISHED_RATES[rate_rule], np.array([plan.params.value]), np.array([plan.tokens.value]), plan)
    rates = _apply(PUBLISHED_RATES[rate_rule], sizes, tokens, plan)
    return Recipe(
        batch_rule=batch_rule if critical is None else KAPLAN_CRITICAL,
        rate_rule=rate_rule,
        batch_tokens=quantity(float(batch[0]), batches),
        steps=quantity(plan.tokens.value / float(batch[0]), tokens / batches),
        learning_rate=quantity(float(rate[0]), rates) if np.isfinite(rate[0]) else None,
        wall_seconds=hardware.wall_seconds(plan.flops) if hardware else None,
    )


def _apply(rule: PublishedRule, params: Array, tokens: Array, plan: BudgetPlan) -> Array:
    """A rule on arrays; NaN where it says that it does not hold."""
    return np.array([_value(rule, float(n), float(d), plan.flops) for n, d in zip(params, tokens, strict=True)])


def _value(rule: PublishedRule, params: float, tokens: float, flops: float) -> float:
    try:
        return rule(params, tokens, flops)
    except ValueError:
        return float("nan")


def _check(name: str, rules: Mapping[str, PublishedRule], what: str) -> None:
    if name not in rules:
        raise ValueError(f"{what} {name!r}; allowed: {', '.join(rules)}")

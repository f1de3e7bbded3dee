"""One budget of a study's plan: the nearest model that can be built, its loss, and what to be wary of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scaling_lab.config import TrainingConfig
from scaling_lab.fits.decision import plan_block, quantity_json
from scaling_lab.fits.stored import StoredFit
from scaling_lab.recipes import batch_tokens, peak_learning_rate
from scaling_lab.science.accounting import FlopsConvention, ParamsConvention, Shape
from scaling_lab.science.bootstrap import percentile_interval
from scaling_lab.science.departed_line import best_on_line
from scaling_lab.science.laws import Array
from scaling_lab.science.planner import (
    LEVELS,
    BudgetPlan,
    FittedLaw,
    Quantity,
    extrapolation_decades,
    plan_budget,
    predicted_loss,
)
from scaling_lab.science.shapes import ShapeFamily

FAR = 1.0  # decades beyond the largest run from which a plan carries a warning
MAX_EDGE_SHARE = 0.05


@dataclass(frozen=True)
class Study:
    """What all budgets of a plan share."""

    surface: StoredFit | None
    isoflop: StoredFit | None
    law: FittedLaw | None
    params: ParamsConvention
    flops: FlopsConvention
    family: ShapeFamily | None  # None: no run is of a Transformer
    counted: ShapeFamily | None  # the same by the count of N of the IsoFLOP profiles
    least_flops: float
    largest: dict[str, float]
    training: TrainingConfig
    seed: int


def plan_one(study: Study, flops: float) -> dict[str, Any]:
    """The plan of a budget in training FLOPs by the study's convention, as JSON."""
    family, plan = study.family, None
    if family is None:
        message = "only Transformers are planned, and the study finished none: a plan continues their shapes"
        return {"flops": flops, "status": "refused", "warnings": [message]}
    if study.law is not None:
        plan = plan_budget(study.law, flops, family.flops_per_token, family.params_range, study.seed)
    power_law = _isoflop_optimum(study.isoflop, flops, study.counted) if study.isoflop and study.counted else None
    if plan is not None:
        target = plan.params.value
    elif power_law is not None:
        target = power_law["params_opt"].value
    else:
        message = "the laws of L(N, D) and the IsoFLOP power laws were all refused; see `reasons`"
        return {"flops": flops, "status": "refused", "warnings": [message]}
    model = _model(study, family, target, flops)
    beyond = {
        "flops_decades": extrapolation_decades(flops, study.largest["flops"]),
        "params_decades": extrapolation_decades(target, study.largest["params"]),
        "tokens_decades": extrapolation_decades(model["tokens"], study.largest["tokens"]),
    }
    return {
        "flops": flops,
        "status": "ok",
        "law": plan_block(plan) if plan else None,
        "isoflop": {name: quantity_json(value) for name, value in power_law.items()} if power_law else None,
        "model": model,
        "extrapolation": beyond,
        "warnings": _warnings(study, plan, power_law, beyond, model),
    }


def _isoflop_optimum(fit: StoredFit, flops: float, family: ShapeFamily) -> dict[str, Quantity]:
    """N* of the power law through the profiles' minima, and the tokens D* that the budget pays for at N*.

    The power law through the tokens of the minima is another line: where a token's cost is no power of N, the two
    together cost more, or less, than the budget.
    """
    params = fit.value("params_coefficient") * flops ** fit.value("a")
    drawn = best_on_line(fit.draws, np.array([flops]), family.flops_per_token, family.params_range)[:, 0]

    def quantity(value: float, draws: Array) -> Quantity:
        return Quantity(value, tuple(percentile_interval(draws, level) for level in LEVELS))

    tokens = float(flops / family.flops_per_token(params))
    return {
        "params_opt": quantity(params, drawn),
        "tokens_opt": quantity(tokens, flops / family.flops_per_token(drawn)),
    }


def _model(study: Study, family: ShapeFamily, params: float, flops: float) -> dict[str, Any]:
    """The buildable model nearest to the optimal size, trained on the tokens that the budget pays for."""
    shape: Shape = family.nearest(params)
    per_token = shape.flops_per_token(family.flops_convention)
    batch = batch_tokens(shape, flops / per_token, study.training)
    steps = max(1, round(flops / per_token / batch))
    tokens, own = steps * batch, shape.params(family.params_convention)
    loss = predicted_loss(study.law, own, tokens, study.seed) if study.law else None
    rate, refusal = _rate(shape, tokens, study.training)
    return {
        **asdict(shape),
        "params": own,
        "params_non_embedding": shape.params_non_embedding,
        "params_total": shape.params_total,
        "flops_per_token": per_token,
        "batch_tokens": batch,
        "learning_rate": rate,
        "learning_rate_refused": refusal,
        "schedule": study.training.schedule.model_dump(mode="json"),
        "steps": steps,
        "tokens": tokens,
        "tokens_per_param": tokens / own,
        "flops": float(per_token * tokens),
        "loss": quantity_json(loss) if loss else None,
    }


def _rate(shape: Shape, tokens: float, training: TrainingConfig) -> tuple[float | None, str | None]:
    """The recipe's peak rate, or why its rule gives none: Eq D.1 of Kaplan et al. 2020 ends at 1e10 parameters."""
    try:
        return peak_learning_rate(shape, tokens, training), None
    except ValueError as error:
        return None, str(error)


def _warnings(
    study: Study,
    plan: BudgetPlan | None,
    power_law: dict[str, Quantity] | None,
    beyond: dict[str, float],
    model: dict[str, Any],
) -> list[str]:
    notes = [f"no peak learning rate: {refusal}"] if (refusal := model["learning_rate_refused"]) else []
    if plan is None:
        notes.append("no law of L(N, D): size and tokens are the IsoFLOP power laws', and no loss is predicted")
        if beyond["flops_decades"] > 0:
            notes.append(
                "N_opt(C) bends where heads and attention are counted; neither that nor the parabolas' bias is in the "
                "IsoFLOP intervals"
            )
    if study.surface and study.surface.document["diagnostics"]["offset_identified"] is False:
        notes.append("the irreducible loss is not identified by the runs: losses far beyond them are not supported")
    for name, decades in beyond.items():
        if decades > FAR:
            notes.append(f"{name.removesuffix('_decades')}: {decades:.1f} decades beyond the largest run")
    if plan is not None and plan.edge_share > MAX_EDGE_SHARE:
        notes.append(f"{plan.edge_share:.0%} of the draws have no interior optimum")
    if plan is not None and power_law is not None:
        wide, other = plan.params.intervals[-1], power_law["params_opt"].intervals[-1]
        if wide.high < other.low or other.high < wide.low:
            notes.append("the two approaches disagree: the 95 % intervals of their optimal sizes do not overlap")
    if beyond["params_decades"] > 0 or beyond["tokens_decades"] > 0:
        notes.append("batch and learning rate follow the study's rules beyond the sizes that they were tuned on")
    return notes

"""`scaling-lab plan`: from a stored fit and a budget to a decision, with intervals, regret and warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.errors import ConfigError, TableError
from scaling_lab.files import sha256_of
from scaling_lab.fits.budgets import budget_flops
from scaling_lab.fits.decision import plan_block, quantity_json
from scaling_lab.fits.output import write_json
from scaling_lab.fits.stored import StoredFit, fitted_law, points_of_fit, read_fit_file
from scaling_lab.fits.terminal_plan import print_plan
from scaling_lab.science.data_limited import PUBLISHED_REPETITION, data_limited_optimum
from scaling_lab.science.hardware import Hardware
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.planner import (
    BudgetPlan,
    FittedLaw,
    extrapolation_decades,
    plan_budget,
    quantity,
    with_run_noise,
)
from scaling_lab.science.recipe import CriticalBatch, Recipe, training_recipe
from scaling_lab.science.serving import serving_optimum

FLOPS_PER_PARAM = 6
PARAMS_RANGE = (1e2, 1e16)
MAX_EDGE_SHARE = 0.05
SEPARATE = ("hoffmann", "data_constrained")  # laws with E, A, B, alpha and beta of their own


@dataclass(frozen=True)
class PlanRequest:
    """A budget in FLOPs, or in device-hours of `hardware`, and what to plan beside the compute-optimal model."""

    flops: float | None = None
    device_hours: float | None = None
    hardware: Hardware | None = None
    inference_tokens: float | None = None
    unique_tokens: float | None = None
    repetition: Mapping[str, float] = field(default_factory=dict)
    critical: CriticalBatch | None = None
    batch_rule: str = "step"
    rate_rule: str = "step"
    seed: int = 0

    @property
    def budget(self) -> float:
        """Training FLOPs. Raises ConfigError unless exactly one budget is given and can be converted."""
        return budget_flops(self.flops, self.device_hours, self.hardware)


def critical_batch_of(text: str | None) -> CriticalBatch | None:
    """`B*,alpha_B` as the law of the critical batch. Raises ConfigError."""
    if text is None:
        return None
    try:
        at_one_nat, alpha = (float(part) for part in text.split(","))
        return CriticalBatch(at_one_nat, alpha)
    except ValueError as error:
        raise ConfigError(f"--critical-batch {text!r}; allowed: B*,alpha_B, such as 2.1e8,0.21 ({error})") from None


def run_user_plan(fit: Path, request: PlanRequest, output: Path | None) -> None:
    """Plan, print and write.

    Raises:
        ConfigError: a budget or rule that cannot be used.
        TableError: no such fit, a fit that was refused, or a law that cannot plan.
    """
    flops, stored = request.budget, read_fit_file(fit)
    law = _planning_law(fit, stored)
    plan = plan_budget(law, flops, lambda size: FLOPS_PER_PARAM * size, PARAMS_RANGE, request.seed)
    try:
        recipe = training_recipe(plan, request.batch_rule, request.rate_rule, request.critical, request.hardware)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    document = {"law": stored.document["law"], "flops": flops, "flops_convention": "C = 6 N D", **plan_block(plan)}
    document |= {"recipe": _recipe_json(recipe), "hardware": asdict(request.hardware) if request.hardware else None}
    document["inference"] = _inference(law, plan, request.inference_tokens)
    document["data_limited"] = _data_limited(fit, stored, law, plan, request)
    ranges = _ranges(points_of_fit(fit))
    document["extrapolation"] = _extrapolation(document, ranges)
    document["ranges"] = {name: {"low": low, "high": high} for name, (low, high) in ranges.items()}
    document["warnings"] = _warnings(stored, plan, document, request)
    document["departure"] = stored.document["diagnostics"].get("departure")
    document["provenance"] = {
        "input": {"file": fit.name, "sha256": sha256_of(fit)},
        "options": asdict(request),
        "version": version("scaling-lab"),
    }
    if output is not None:
        write_json(output, document)
    print_plan(document)


def _planning_law(path: Path, stored: StoredFit) -> FittedLaw:
    """The law of N and D of a stored fit; of a data-constrained one the law for unlimited data."""
    name = stored.document["law"]
    if not stored.ok:
        reason = stored.document["reason"]
        raise TableError(f"{path}: {name} was refused ({reason['code']}): {reason['message']}; it cannot plan")
    if name == "data_constrained":
        base = LAWS["hoffmann"]
    elif name in LAWS and set(LAWS[name].variables) == {"N", "D"}:
        base = LAWS[name]
    else:
        raise TableError(f"{path}: a plan needs a law of N and D; this is {name}")
    law = fitted_law(stored, path.with_suffix(".points.parquet"), base.parameter_names)
    return FittedLaw(law.parameters, law.draws, law.residuals, base)


def _recipe_json(recipe: Recipe) -> dict[str, Any]:
    return {
        "batch_rule": recipe.batch_rule,
        "learning_rate_rule": recipe.rate_rule,
        "batch_tokens": quantity_json(recipe.batch_tokens),
        "steps": quantity_json(recipe.steps),
        "learning_rate": quantity_json(recipe.learning_rate) if recipe.learning_rate else None,
        "wall_seconds": recipe.wall_seconds,
    }


def _inference(law: FittedLaw, plan: BudgetPlan, tokens: float | None) -> dict[str, Any] | None:
    """The model of the same loss with the least training and inference; every draw keeps its own optimum's loss.

    That loss is the refitted law's: of a departure the intervals hold what it does to the refit.
    """
    if tokens is None:
        return None
    if law.law.name not in SEPARATE:
        raise ConfigError(f"--inference-tokens needs the hoffmann law, not {law.law.name}")
    if not tokens >= 0:
        raise ConfigError(f"--inference-tokens {tokens:g}; allowed: 0 or more")
    best = serving_optimum(law.parameters, plan.loss.value, tokens)
    losses = law.law.predict(law.refits(), {"N": plan.drawn.params, "D": plan.drawn.tokens})
    drawn = serving_optimum(law.refits(), losses, tokens)
    plain = plan.flops + 2 * plan.params.value * tokens
    return {
        "inference_tokens": tokens,
        "params_opt": quantity_json(quantity(float(best.params), drawn.params)),
        "tokens_opt": quantity_json(quantity(float(best.tokens), drawn.tokens)),
        "training_flops": float(best.training_flops),
        "total_flops": float(best.total_flops),
        "total_flops_of_compute_optimal": plain,
        "saving_percent": 100 * (1 - float(best.total_flops) / plain),
    }


def _data_limited(
    path: Path, stored: StoredFit, law: FittedLaw, plan: BudgetPlan, request: PlanRequest
) -> dict[str, Any] | None:
    """The optimum with a limited number of unique tokens; intervals over the draws, R_D and R_N as given or fitted.

    Of a departure they hold what it does to the refit.
    """
    available = request.unique_tokens
    if available is None:
        return None
    if law.law.name not in SEPARATE:
        raise ConfigError(f"--unique-tokens needs the hoffmann or data_constrained law, not {law.law.name}")
    if not available > 0:
        raise ConfigError(f"--unique-tokens {available:g}; allowed: a positive number")
    repetition: dict[str, Any] = {**PUBLISHED_REPETITION, **request.repetition}
    drawn_repetition: dict[str, Any] = {name: np.float64(value) for name, value in repetition.items()}
    source = "given" if request.repetition else "Muennighoff et al. 2023"
    if stored.document["law"] == "data_constrained":
        full = fitted_law(stored, path.with_suffix(".points.parquet"), LAWS["data_constrained"].parameter_names)
        repetition = {name: full.parameters[name] for name in repetition}
        drawn_repetition = {name: full.draws[name] for name in repetition}
        source = "fitted"
    best = data_limited_optimum(law.parameters, plan.flops, available, repetition)
    drawn = data_limited_optimum(law.refits(), plan.flops, available, drawn_repetition)
    at = (float(best.optimum.params), float(best.optimum.tokens))
    draws = law.refits() | drawn_repetition
    losses = LAWS["data_constrained"].predict(draws, {"N": at[0], "D": at[1], "U": available})
    return {
        "available_unique_tokens": available,
        "repetition": {**repetition, "source": source},
        "params_opt": quantity_json(quantity(at[0], drawn.optimum.params)),
        "tokens_opt": quantity_json(quantity(at[1], drawn.optimum.tokens)),
        "unique_tokens": float(best.unique_tokens),
        "epochs": quantity_json(quantity(float(best.epochs), drawn.epochs)),
        "loss": quantity_json(quantity(float(best.optimum.loss), with_run_noise(law, losses, request.seed))),
    }


def _ranges(points: Mapping[str, Array]) -> dict[str, tuple[float, float]]:
    """What the runs of the fit spanned."""
    spans = {"N": points["N"], "D": points["D"], "C": FLOPS_PER_PARAM * points["N"] * points["D"]}
    return {name: (float(values.min()), float(values.max())) for name, values in spans.items()}


def _extrapolation(document: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Decades beyond the runs, of the budget and of every model that the plan names."""
    values = {"C": [document["flops"]], "N": [], "D": []}
    for block in (document, document["inference"], document["data_limited"]):
        if block is not None:
            values["N"].append(block["params_opt"]["value"])
            values["D"].append(block["tokens_opt"]["value"])
    return {
        name: max(extrapolation_decades(value, ranges[name][1], ranges[name][0]) for value in found)
        for name, found in values.items()
    }


def _warnings(stored: StoredFit, plan: BudgetPlan, document: Mapping[str, Any], request: PlanRequest) -> list[str]:
    notes = []
    for name, decades in document["extrapolation"].items():
        if decades > 0:
            low, high = (document["ranges"][name][end] for end in ("low", "high"))
            notes.append(f"{name} is {decades:.2f} decades outside the runs of the fit, {low:.3g} to {high:.3g}")
    if stored.document["diagnostics"].get("offset_identified") is False:
        notes.append("the runs do not identify the irreducible loss: losses far beyond them are not supported")
    if plan.edge_share > MAX_EDGE_SHARE:
        notes.append(f"{plan.edge_share:.0%} of the draws have no interior optimum")
    if document["recipe"]["learning_rate"] is None:
        notes.append(f"the learning rate rule {request.rate_rule} does not hold at this size")
    if request.critical is None:
        notes.append(f"batch and learning rate follow the published rules `{request.batch_rule}` and "
                     f"`{request.rate_rule}`, measured on other models and data")  # fmt: skip
    if request.hardware is not None:
        notes.append(f"a utilisation of {request.hardware.utilisation:g} is assumed; measure yours")
    return notes

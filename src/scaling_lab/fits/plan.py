"""From fitted laws to a decision: which model, on how many tokens, for which loss, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scaling_lab.config import PlanConfig, TrainingConfig
from scaling_lab.files import sha256_of
from scaling_lab.fits.decision import frontier_block, plan_block, quantity_json
from scaling_lab.fits.labels import flops_label, params_label
from scaling_lab.fits.output import provenance_of, write_json
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.stored import StoredFit, fitted_law, read_fit
from scaling_lab.fits.surface import SURFACES
from scaling_lab.fits.table import RunTable, read_runs
from scaling_lab.recipes import batch_tokens, peak_learning_rate
from scaling_lab.science.accounting import ParamsConvention, Shape
from scaling_lab.science.bootstrap import percentile_interval
from scaling_lab.science.laws import LAWS
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
FRONTIER_MARGIN = 1.5  # how far beyond the largest budget N*(C) is written


@dataclass(frozen=True)
class Study:
    """What all budgets of a plan share."""

    surface: StoredFit | None
    isoflop: StoredFit | None
    law: FittedLaw | None
    family: ShapeFamily
    largest: dict[str, float]
    training: TrainingConfig
    seed: int


def make_plan(
    runs: Path, fits_dir: Path, backtest: Path, output: Path, plan: PlanConfig, training: TrainingConfig
) -> None:
    """Write plan.json: for each budget of training FLOPs the compute-optimal model, its loss and their uncertainty.

    Of the laws of L(N, D) in `fits_dir` the one decides that predicted the most expensive runs best, unseen, in
    `backtest` (backtest.json). Where all were refused the IsoFLOP power laws decide, without a loss; where those
    were too, or the study fits none of them, the plan gives reasons and no number. Conventions and seed are those of
    the fits, or of the backtest. Batch and learning rate follow the rules of the recipe `training`, extrapolated.

    Raises:
        TableError: the table of runs cannot be used.
    """
    table = read_runs(runs)
    used = status_ok(Selection(table)).table
    fits = {name: read_fit(fits_dir, name) for name in (*SURFACES, "isoflop")}
    tested = json.loads(backtest.read_text(encoding="utf-8"))
    options = [*(fit.document for fit in fits.values() if fit), tested][0]["provenance"]["options"]
    document = _document(used, fits, backtest_errors(tested), options, fits_dir, plan, training)
    present = [fits_dir / f"{name}.json" for name, fit in fits.items() if fit]
    document["provenance"] = provenance_of(
        {runs.name: table.sha256} | {path.name: sha256_of(path) for path in present},
        {"plan": plan.model_dump(mode="json"), "training": training.model_dump(mode="json")},
        simulated=table.simulated,
    )
    write_json(output, document)


def _document(
    used: RunTable,
    fits: dict[str, StoredFit | None],
    errors: dict[str, float],
    options: dict[str, Any],
    fits_dir: Path,
    plan: PlanConfig,
    training: TrainingConfig,
) -> dict[str, Any]:
    usable = {name: fit for name, fit in fits.items() if fit and fit.ok}
    basis = choose_basis([name for name in SURFACES if name in usable], errors)
    # Kaplan's law is fitted to non-embedding parameters whatever the study counts.
    params: ParamsConvention = "params_non_embedding" if basis == "kaplan" else options["params_convention"]
    flops = options["flops_convention"]
    costs, shapes = used.numbers(f"flops_{flops}"), used.shapes()
    study = Study(
        surface=usable[basis] if basis else None,
        isoflop=usable.get("isoflop"),
        law=fitted_law(usable[basis], fits_dir / f"{basis}.points.parquet", LAWS[basis].parameter_names)
        if basis
        else None,
        family=ShapeFamily(shapes, params, flops),
        largest={
            "flops": float(costs.max()),
            "params": float(used.numbers(params).max()),
            "tokens": float(used.numbers("tokens").max()),
        },
        training=training,
        seed=options["seed"],
    )
    budgets = plan.flops_for(study.largest["flops"])
    span = (float(costs.min()), FRONTIER_MARGIN * max(study.largest["flops"], *budgets))
    return {
        "basis": basis or ("isoflop" if study.isoflop else None),
        "backtest_errors": errors,
        "reasons": {name: _reason(fit) for name, fit in fits.items()},
        "conventions": {
            "params": {"column": params, "label": params_label(params)},
            "flops": {"column": f"flops_{flops}", "label": flops_label(flops)},
        },
        "largest_run": study.largest,
        "frontier": frontier_block(study.law, study.family, span, options["level"]) if study.law else None,
        "budgets": [_plan_one(study, budget) for budget in budgets],
    }


def backtest_errors(document: Mapping[str, Any]) -> dict[str, float]:
    """Mean absolute relative error on the held-out runs of each law that could be tested."""
    laws = document["laws"].items()
    return {name: law["mean_absolute_relative_error"] for name, law in laws if law["status"] == "ok"}


def choose_basis(usable: Sequence[str], errors: Mapping[str, float]) -> str | None:
    """The usable law with the least backtest error; untested ones come last, in their order. None without any."""
    return min(usable, key=lambda name: errors.get(name, float("inf")), default=None)


def _reason(fit: StoredFit | None) -> dict[str, str] | None:
    if fit is None:
        return {"code": "not_fitted", "message": "the study does not fit this law"}
    reason: dict[str, str] | None = fit.document["reason"]
    return reason


def _plan_one(study: Study, flops: float) -> dict[str, Any]:
    plan = None
    if study.law is not None:
        family = study.family
        plan = plan_budget(study.law, flops, family.flops_per_token, family.params_range, study.seed)
    power_law = _isoflop_optimum(study.isoflop, flops) if study.isoflop else None
    if plan is not None:
        target = plan.params.value
    elif power_law is not None:
        target = power_law["params_opt"].value
    else:
        message = "the laws of L(N, D) and the IsoFLOP power laws were all refused; see `reasons`"
        return {"flops": flops, "status": "refused", "warnings": [message]}
    model = _model(study, target, flops)
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


def _isoflop_optimum(fit: StoredFit, flops: float) -> dict[str, Quantity]:
    """N* and D* of the power laws through the profiles' minima."""

    def at(exponent: str, coefficient: str) -> Quantity:
        value = fit.value(coefficient) * flops ** fit.value(exponent)
        draws = fit.draws[coefficient] * flops ** fit.draws[exponent]
        return Quantity(value, tuple(percentile_interval(draws, level) for level in LEVELS))

    return {"params_opt": at("a", "params_coefficient"), "tokens_opt": at("b", "tokens_coefficient")}


def _model(study: Study, params: float, flops: float) -> dict[str, Any]:
    """The buildable model nearest to the optimal size, trained on the tokens that the budget pays for."""
    shape: Shape = study.family.nearest(params)
    per_token = shape.flops_per_token(study.family.flops_convention)
    batch = batch_tokens(shape, flops / per_token, study.training)
    steps = max(1, round(flops / per_token / batch))
    tokens, own = steps * batch, shape.params(study.family.params_convention)
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
                "the IsoFLOP intervals hold the noise of the profiles alone; N_opt(C) bends where heads and attention "
                "are counted, and neither that nor the parabolas' bias is in them"
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

"""From fitted laws to a decision: which model, on how many tokens, for which loss, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling_lab.config import PlanConfig, TrainingConfig
from scaling_lab.files import sha256_of
from scaling_lab.fits.budget_plan import Study, plan_one
from scaling_lab.fits.decision import frontier_block
from scaling_lab.fits.labels import flops_label, params_label
from scaling_lab.fits.output import provenance_of, write_json
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.stored import SURFACES, StoredFit, fitted_law, read_fit
from scaling_lab.fits.table import RunTable, read_runs
from scaling_lab.science.accounting import ParamsConvention
from scaling_lab.science.laws import LAWS
from scaling_lab.science.shapes import ShapeFamily

FRONTIER_MARGIN = 1.5  # how far beyond the largest budget N*(C) is written


@dataclass(frozen=True)
class PlanInputs:
    """What a plan is made of: the table of runs, those that finished, the fits (None: not fitted), the backtest."""

    table: RunTable
    used: RunTable
    fits: Mapping[str, StoredFit | None]
    fits_dir: Path
    errors: Mapping[str, float]  # of the backtest, by law
    options: Mapping[str, Any]  # of the fits

    @property
    def basis(self) -> str | None:
        """The law of L(N, D) that decides."""
        usable = [name for name in SURFACES if (fit := self.fits[name]) and fit.ok]
        return choose_basis(usable, self.errors)

    def usable(self, name: str | None) -> StoredFit | None:
        """A fit that was not refused."""
        fit = self.fits[name] if name else None
        return fit if fit and fit.ok else None


def read_inputs(runs: Path, fits_dir: Path, backtest: Path) -> PlanInputs:
    """Read a study's table, fits and backtest. Raises TableError."""
    table = read_runs(runs)
    fits = {name: read_fit(fits_dir, name) for name in (*SURFACES, "isoflop")}
    tested = json.loads(backtest.read_text(encoding="utf-8"))
    options = [*(fit.document for fit in fits.values() if fit), tested][0]["provenance"]["options"]
    used = status_ok(Selection(table)).table
    return PlanInputs(table, used, fits, fits_dir, backtest_errors(tested), options)


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
    inputs = read_inputs(runs, fits_dir, backtest)
    document = _document(inputs, study_of(inputs, training), plan)
    present = [fits_dir / f"{name}.json" for name, fit in inputs.fits.items() if fit]
    document["provenance"] = provenance_of(
        {runs.name: inputs.table.sha256} | {path.name: sha256_of(path) for path in present},
        {"plan": plan.model_dump(mode="json"), "training": training.model_dump(mode="json")},
        simulated=inputs.table.simulated,
    )
    write_json(output, document)


def study_of(inputs: PlanInputs, training: TrainingConfig) -> Study:
    """What all budgets of a plan share: the law that decides, the proportions of the models, what was measured."""
    basis, flops, used = inputs.basis, inputs.options["flops_convention"], inputs.used
    # Kaplan's law is fitted to non-embedding parameters whatever the study counts.
    params: ParamsConvention = "params_non_embedding" if basis == "kaplan" else inputs.options["params_convention"]
    surface = inputs.usable(basis)
    points = inputs.fits_dir / f"{basis}.points.parquet"
    costs = used.numbers(f"flops_{flops}")
    return Study(
        surface=surface,
        isoflop=inputs.usable("isoflop"),
        law=fitted_law(surface, points, LAWS[basis].parameter_names) if surface and basis else None,
        params=params,
        flops=flops,
        family=ShapeFamily(used.shapes(), params, flops) if used.has_transformers else None,
        counted=ShapeFamily(used.shapes(), inputs.options["params_convention"], flops)
        if used.has_transformers
        else None,
        least_flops=float(costs.min()),
        largest={
            "flops": float(costs.max()),
            "params": float(used.numbers(params).max()),
            "tokens": float(used.numbers("tokens").max()),
        },
        training=training,
        seed=inputs.options["seed"],
    )


def _document(inputs: PlanInputs, study: Study, plan: PlanConfig) -> dict[str, Any]:
    budgets = plan.flops_for(study.largest["flops"])
    span = (study.least_flops, FRONTIER_MARGIN * max(study.largest["flops"], *budgets))
    plans = study.family is not None
    level, law = inputs.options["level"], study.law
    return {
        "basis": (inputs.basis or ("isoflop" if study.isoflop else None)) if plans else None,
        "backtest_errors": inputs.errors,
        "departure": study.surface.document["diagnostics"].get("departure") if study.surface else None,
        "reasons": {name: _reason(fit) for name, fit in inputs.fits.items()},
        "conventions": {
            "params": {"column": study.params, "label": params_label(study.params)},
            "flops": {"column": f"flops_{study.flops}", "label": flops_label(study.flops)},
        },
        "largest_run": study.largest,
        "frontier": frontier_block(law, study.family, span, level) if law and study.family else None,
        "budgets": [plan_one(study, budget) for budget in budgets],
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

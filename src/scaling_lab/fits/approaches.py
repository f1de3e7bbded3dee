"""One table of approaches: what each says of the best size and the best data, at the budgets of the plan."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.config import PlanConfig
from scaling_lab.files import sha256_of
from scaling_lab.fits.curves import LOSS, read_curves
from scaling_lab.fits.isoflop import study_runs, token_cost
from scaling_lab.fits.labels import flops_label, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import provenance_of, reason_of, write_json
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.table import read_runs
from scaling_lab.science.allocation import Allocation, Approaches, Estimate, Question
from scaling_lab.science.approaches import ApproachOptions, budget_profiles, compare_approaches
from scaling_lab.science.shapes import ShapeFamily

RECORDED_SMOOTH = 0.0  # the curves that a run records are smoothed already


def run_approaches(runs: Path, curves: Path, output: Path, options: FitOptions, plan: PlanConfig) -> None:
    """Write approaches.json: slopes a and b, N* and D* at the plan's budgets, with intervals, by every approach.

    N and C are counted by the study's conventions in all of them, Kaplan's law included. A token costs what
    it costs models of the study's proportions, as in the plan.

    Raises:
        TableError: a table cannot be used, or a run has no curve.
    """
    table = read_runs(runs)
    selection = status_ok(Selection(table))
    used = selection.table
    points, cost = study_runs(used, options), token_cost(used, options)
    family = ShapeFamily(used.shapes(), options.params_convention, options.flops_convention)
    budgets = plan.flops_for(float(points.flops.max()))
    question = Question(np.array(budgets), family.flops_per_token, family.params_range)
    chosen = ApproachOptions(options.fitting_objective, options.resampling, smoothing=RECORDED_SMOOTH)
    answer = compare_approaches(
        points, question, budget_profiles(points, cost), cost, chosen, read_curves(curves, used, options)
    )
    sources = {runs.name: table.sha256, curves.name: sha256_of(curves)}
    choices = {"fit": options.as_json(), "plan": plan.model_dump(mode="json")}
    provenance = provenance_of(sources, choices, simulated=table.simulated)
    write_json(output, _document(answer, selection, options) | {"provenance": provenance})


def _document(answer: Approaches, selection: Selection, options: FitOptions) -> dict[str, Any]:
    return {
        "level": answer.level,
        "budgets": answer.budgets,
        "conventions": {
            "params": {"column": options.params_convention, "label": params_label(options.params_convention)},
            "flops": {"column": options.flops_column, "label": flops_label(options.flops_convention)},
        },
        "curve_loss": LOSS,
        "approaches": {name: _allocation(found) for name, found in answer.allocations.items()},
        "disagreements": [asdict(pair) for pair in answer.disagreements],
        "filters": [applied.as_json() for applied in selection.filters],
    }


def _allocation(found: Allocation) -> dict[str, Any]:
    return {
        "status": "ok" if found.refusal is None else "refused",
        "reason": reason_of(found.refusal),
        "exponents": {name: _estimate(value) for name, value in found.exponents.items()},
        "optima": [{name: _estimate(value) for name, value in optimum.items()} for optimum in found.optima],
        "bootstrap": {
            "resamples": found.resamples,
            "failed": sum(found.failed.values()),
            "failed_by_reason": found.failed,
        },
        "warnings": list(found.warnings),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    interval = estimate.interval
    return {"value": estimate.value, "interval": vars(interval) if interval else None}

"""One table of approaches: what each says of the best size and the best data, at the budgets of the plan."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.config import PlanConfig
from scaling_lab.files import sha256_of
from scaling_lab.fits.assumptions import broken_assumptions
from scaling_lab.fits.curves import LOSS, read_curves
from scaling_lab.fits.explanations import explain
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import provenance_of, reason_of, write_json
from scaling_lab.fits.readings import Reading, conventions_of, other_readings, own_reading
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.table import RunTable, read_runs
from scaling_lab.science.allocation import Allocation, Approaches, Estimate
from scaling_lab.science.approaches import NAMES
from scaling_lab.science.refusal import FitRefusedError


def run_approaches(runs: Path, curves: Path, output: Path, options: FitOptions, plan: PlanConfig) -> None:
    """Write approaches.json: slopes a and b, N* and D* at the plan's budgets, with intervals, by every approach.

    Each value has the interval of exact laws, as publications state it, and that of losses that depart from them.
    Approaches disagree by the first; whether they also do by the second stands beside it.
    `approaches` counts N and C as the study does, Kaplan's laws included; `by_convention` has the same runs by the
    other counts. `explanations` says, by a computation for each known cause, what lies behind every disagreement. A
    token costs what it costs models of the study's proportions, as in the plan; without Transformers every approach is
    refused.

    Raises:
        TableError: a table cannot be used, or a run has no curve.
    """
    table = read_runs(runs)
    selection = status_ok(Selection(table))
    used = selection.table
    budgets = plan.flops_for(float(used.numbers(options.flops_column).max()))
    try:
        found = _found(used, own_reading(used, read_curves(curves, used, options), options, budgets))
    except FitRefusedError as refusal:
        refused = Approaches.refused(NAMES, np.array(budgets), options.level, refusal)
        found = _answers(refused) | {"by_convention": [], "warnings": [], "explanations": []}
    sources = {runs.name: table.sha256, curves.name: sha256_of(curves)}
    choices = {"fit": options.as_json(), "plan": plan.model_dump(mode="json")}
    document = {
        "level": options.level,
        "budgets": budgets,
        "conventions": conventions_of(options),
        "curve_loss": LOSS,
        **found,
        "filters": [applied.as_json() for applied in selection.filters],
        "provenance": provenance_of(sources, choices, simulated=table.simulated),
    }
    write_json(output, document)


def _found(table: RunTable, own: Reading) -> dict[str, Any]:
    """What every approach says by the study's counts and by others, with warnings and explanations."""
    answer = own.answer()
    others = [(reading, reading.quick_answer()) for reading in other_readings(table, own)]
    return {
        **_answers(answer),
        "by_convention": [
            {"conventions": reading.conventions, "budgets": other.budgets, **_answers(other)}
            for reading, other in others
        ],
        "warnings": broken_assumptions(table, own, answer, [other for _, other in others]),
        "explanations": [asdict(pair) for pair in explain(own, answer, others)],
    }


def _answers(answer: Approaches) -> dict[str, Any]:
    return {
        "approaches": {name: allocation_json(found) for name, found in answer.allocations.items()},
        "disagreements": [asdict(pair) for pair in answer.disagreements],
    }


def allocation_json(found: Allocation) -> dict[str, Any]:
    """An approach's answer, or why it has none."""
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
    kinds = ("interval", "interval_departed")
    found = {kind: getattr(estimate, kind) for kind in kinds}
    return {"value": estimate.value, **{kind: vars(interval) if interval else None for kind, interval in found.items()}}

"""How far the decision hangs on choices: the objective, outliers, cheap runs, what N and C count, single runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.files import sha256_of
from scaling_lab.fits.choices import Budget, Decision
from scaling_lab.fits.isoflop import study_runs, token_cost
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import provenance_of, reason_of, write_json
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.stored import SURFACES
from scaling_lab.fits.surface import surface_variables
from scaling_lab.fits.table import RunTable, read_runs
from scaling_lab.science.accounting import FLOPS_CONVENTIONS, PARAMS_CONVENTIONS
from scaling_lab.science.allocation import MINIMUM_DRAWS
from scaling_lab.science.approaches import budget_profiles, measured_span
from scaling_lab.science.bootstrap import bootstrap_law, percentile_interval
from scaling_lab.science.comparison import Form, fit_form
from scaling_lab.science.fitting import FitResult
from scaling_lab.science.influence import leave_one_out
from scaling_lab.science.isoflop import TokenCost, fit_isoflop
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.runs import Runs
from scaling_lab.science.sensitivity import (
    Variation,
    vary_allocation,
    vary_cheapest,
    vary_conventions,
    vary_objective,
    vary_outliers,
)

INFLUENTIAL = 5  # runs named
QUANTITIES = ("a", "params", "tokens", "loss")


def run_sensitivity(runs: Path, plan: Path, output: Path, options: FitOptions) -> None:
    """Write sensitivity.json: the plan's first budget decided again under every choice, and without every run.

    plan: plan.json; its law is varied. Where the plan rests on no law of L(N, D), the document says so.

    Raises:
        TableError: the table of runs cannot be used.
    """
    table = read_runs(runs)
    used = status_ok(Selection(table)).table
    decided = json.loads(plan.read_text(encoding="utf-8"))
    document: dict[str, Any] = {"status": "ok", "reason": None, "rows": [], "spread": {}, "influential": []}
    document |= {"departure": None}
    try:
        document |= _vary(used, decided, options)
    except FitRefusedError as refusal:
        document |= {"status": "refused", "reason": reason_of(refusal)}
    document["isoflop"] = _isoflop_by_count(used, options)
    sources = {runs.name: table.sha256, plan.name: sha256_of(plan)}
    provenance = provenance_of(sources, options.as_json(), simulated=table.simulated)
    write_json(output, document | {"provenance": provenance})


def _vary(used: RunTable, plan: dict[str, Any], options: FitOptions) -> dict[str, Any]:
    if plan["basis"] not in SURFACES:
        message = "the plan rests on no law of L(N, D), so there is none to vary"
        raise FitRefusedError(RefusalCode.NOT_IDENTIFIED, message)
    points, params = study_runs(used, options), plan["conventions"]["params"]["column"]
    span = measured_span(points, budget_profiles(points, token_cost(used, options)))
    budget = Budget(used, options, params, plan["budgets"][0]["flops"], span)
    form = Form(LAWS[plan["basis"]], surface_variables(used, params))
    base = fit_form(form, points.loss, options.fitting_objective)
    rows = [
        *(_row(v, budget, used) for v in _refits(form, base, points)),
        *_by_count_of_params(form, budget, points.loss),
        *_by_count_of_flops(base, budget),
    ]
    return {
        "law": base.law.name,
        "flops": budget.flops,
        "params_column": params,
        "base": _numbers(budget.decide(base.law, base.parameters)),
        "rows": rows,
        "spread": _spread(rows),
        "influential": _influential(base, budget),
        "departure": _departure(base, budget),
    }


def _refits(form: Form, base: FitResult, points: Runs) -> tuple[Variation, ...]:
    return (*vary_objective(form, points.loss), *vary_outliers(base), *vary_cheapest(base, points.flops))


def _by_count_of_params(form: Form, budget: Budget, loss: Array) -> list[dict[str, Any]]:
    """The law in every count of N, its optimum translated into the study's."""
    table, objective = budget.table, budget.options.fitting_objective
    variables = {name: surface_variables(table, name) for name, _ in PARAMS_CONVENTIONS}
    varied = vary_conventions(form.law, variables, loss, objective)
    pairs = zip(varied, PARAMS_CONVENTIONS, strict=True)
    return [_row(v, budget, table, params=name) | {"group": "count of N"} for v, (name, _) in pairs]


def _by_count_of_flops(base: FitResult, budget: Budget) -> list[dict[str, Any]]:
    """The same law where a budget counts FLOPs in another way: only what a token costs changes."""
    return [
        _entry("count of FLOPs", name, []) | _numbers(budget.decide(base.law, base.parameters, flops=name))
        for name, _ in FLOPS_CONVENTIONS
    ]


def _row(variation: Variation, budget: Budget, table: RunTable, **convention: Any) -> dict[str, Any]:
    left_out = [table.runs[i] for i in variation.left_out]
    entry = _entry(variation.name, variation.choice, left_out)
    if variation.fit is None:
        return entry | {"status": "refused", "reason": reason_of(variation.refusal)}
    return entry | _numbers(budget.decide(variation.fit.law, variation.fit.parameters, **convention))


def _entry(group: str, choice: str, left_out: list[str]) -> dict[str, Any]:
    empty = dict.fromkeys(QUANTITIES)
    return {"group": group, "choice": choice, "left_out": left_out, "status": "ok", "reason": None, **empty}


def _numbers(decision: Decision) -> dict[str, float]:
    return {name: float(getattr(decision, name)) for name in QUANTITIES}


def _spread(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Least and greatest value of every quantity over the choices of a group that could be fitted, by group."""
    fitted: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] == "ok":
            fitted.setdefault(row["group"], []).append(row)
    return {
        group: {
            name: {"low": min(row[name] for row in members), "high": max(row[name] for row in members)}
            for name in QUANTITIES
        }
        for group, members in fitted.items()
    }


def _influential(base: FitResult, budget: Budget) -> list[dict[str, Any]]:
    """The runs whose absence moves the law most, with what would be decided without each."""
    without, runs = leave_one_out(base), budget.table.runs
    strongest = without.strongest(INFLUENTIAL)
    parameters = {name: values[strongest] for name, values in without.parameters.items()}
    decision, names = budget.decide(base.law, parameters), base.law.parameter_names
    rows = []
    for place, i in enumerate(strongest):
        row: dict[str, Any] = {"run": runs[i], "converged": bool(without.converged[i]), "parameter": None}
        if without.converged[i]:
            most = int(np.argmax(np.abs(without.shift[i])))
            row |= {"parameter": names[most], "shift_in_se": float(without.shift[i, most]), **decision.at(place)}
        rows.append(row)
    return rows


def _departure(base: FitResult, budget: Budget) -> dict[str, Any] | None:
    """Intervals of the decision if the law were exact and as losses depart from it; how much wider those of log N* are.

    None where the study takes the law for exact, or where too few resamples converge.
    """
    options = budget.options
    drawn = [bootstrap_law(base, resampling) for resampling in (options.resampling, options.departing)]
    if min(draws.count for draws in drawn) < MINIMUM_DRAWS or drawn[1].departure is None:
        return None
    exact, departed = (_intervals(budget.decide(base.law, draws.values), options.level) for draws in drawn)
    width = {name: np.log(found["params"]["high"] / found["params"]["low"]) for name, found in
             (("exact", exact), ("departed", departed))}  # fmt: skip
    widening = float(width["departed"] / width["exact"])
    return {
        "median": drawn[1].departure.quantile(0.5), "exact": exact, "departed": departed, "widening": widening,
    }  # fmt: skip


def _intervals(decision: Decision, level: float) -> dict[str, Any]:
    return {name: vars(percentile_interval(getattr(decision, name), level)) for name in QUANTITIES}


def _isoflop_by_count(used: RunTable, options: FitOptions) -> dict[str, Any]:
    """a of Approach 2 by every count of N, at the budgets that were trained (papers.md E.7)."""
    runs, per_token = study_runs(used, options), used.numbers(options.flops_per_token_column)

    def exponent(params: Array) -> float:
        counted = Runs(params, runs.tokens, runs.flops, runs.loss)
        return fit_isoflop(budget_profiles(counted, TokenCost(params, per_token))).a

    answers = vary_allocation(exponent, {name: used.numbers(name) for name, _ in PARAMS_CONVENTIONS})
    return {
        name: {"status": "refused", "reason": reason_of(answer), "a": None}
        if isinstance(answer, FitRefusedError)
        else {"status": "ok", "reason": None, "a": answer}
        for name, answer in answers.items()
    }

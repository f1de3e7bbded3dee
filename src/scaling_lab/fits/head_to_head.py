"""The held-out budget: what each rule asks for there, what was trained, and whose prediction came true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from scaling_lab.fits.isoflop import study_runs, token_cost
from scaling_lab.fits.labels import TOKENS, flops_label, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, reason_of
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.single import quick_starts
from scaling_lab.fits.stored import SURFACES
from scaling_lab.fits.table import Mask, RunTable
from scaling_lab.science.allocation import Question
from scaling_lab.science.approaches import ApproachOptions, budget_profiles, compare_approaches
from scaling_lab.science.backtest import backtest_law
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.planner import LEVELS
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.runs import Runs
from scaling_lab.science.shapes import ShapeFamily

EQUATION = "the most expensive budget, predicted by the runs below it"
KAPLAN_EXPONENTS = {"C_min, Table 6": 0.73, "fixed batch, Figure 14": 0.88}
ASKED = ("isoflop_parabola", "variable_projection", "kaplan")
FEWEST_SIZES = 2


def fit_head_to_head(table: RunTable, options: FitOptions) -> FitRecord:
    """What the laws of the cheaper runs ask for and promise at the most expensive budget (Hoffmann et al. 2022, D.4).

    Kaplan's published exponents continue from the largest budget below whose IsoFLOP minimum is known: its prefactors
    hold for another text and tokenizer.
    """
    selection = status_ok(Selection(table))
    used = selection.table
    variables = {
        "C": {"column": options.flops_column, "label": flops_label(options.flops_convention)},
        "N": {"column": options.params_convention, "label": params_label(options.params_convention)},
        "D": {"column": "tokens", "label": TOKENS},
    }
    record = FitRecord("head_to_head", "head_to_head", EQUATION, variables, options.fitting_objective, selection)
    runs = study_runs(used, options)
    groups = groups_of(runs.flops)
    held_out = np.asarray(groups == groups.max())
    record.points = {
        "run": used.runs, "C": runs.flops, "N": runs.params, "D": runs.tokens, "loss": runs.loss, "held_out": held_out,
    }  # fmt: skip
    record.diagnostics = {"n_points": int(held_out.sum()), "warnings": []}
    sizes = len(np.unique(runs.params[held_out]))
    if sizes < FEWEST_SIZES or held_out.all():
        message = f"{sizes} size(s) at the most expensive budget and {int((~held_out).sum())} runs below it"
        record.refusal = FitRefusedError(
            RefusalCode.TOO_FEW_POINTS, f"{message}; two or more sizes, and runs, are needed"
        )
        return record
    flops = float(np.exp(np.log(runs.flops[held_out]).mean()))
    try:
        picks = _picks(used, runs, held_out, flops, options)
    except FitRefusedError as refusal:
        record.refusal = refusal
        return record
    order = np.flatnonzero(held_out)[np.argsort(runs.params[held_out])]
    record.blocks |= {
        "flops": flops,
        "times_the_largest_below": flops / float(runs.flops[~held_out].max()),
        "picks": [pick | _nearest(pick, runs, order) for pick in picks],
        "predictions": _predictions(runs, held_out, options),
        "trained": [
            {"run": used.runs[i], "params": runs.params[i], "tokens": runs.tokens[i], "loss": runs.loss[i]}
            for i in order
        ],
    }
    return record


def _picks(table: RunTable, runs: Runs, held_out: Mask, flops: float, options: FitOptions) -> list[dict[str, Any]]:
    """N that every rule asks for at the budget, from the runs below it. Raises FitRefusedError without Transformers."""
    below = Runs(*(values[~held_out] for values in vars(runs).values()))
    cost, family = token_cost(table, options), _family(table, options)
    profiles = budget_profiles(below, cost)
    question = Question(np.array([flops]), family.flops_per_token, family.params_range)
    chosen = ApproachOptions(options.fitting_objective, options.departing)
    answer = compare_approaches(below, question, profiles, cost, chosen, only=ASKED)
    picks: list[dict[str, Any]] = []
    for name, found in answer.allocations.items():
        if found.refusal is not None:
            picks.append({"rule": name, "status": "refused", "reason": reason_of(found.refusal)})
            continue
        params = found.optima[0]["params"]
        interval = None if params.interval_departed is None else vars(params.interval_departed)
        picks.append({"rule": name, "status": "ok", "reason": None, "params": params.value, "interval": interval})
    known = [profile for profile in profiles if profile.vertex is not None]
    if known and known[-1].vertex is not None:
        for source, exponent in KAPLAN_EXPONENTS.items():
            asked = known[-1].vertex.params * (flops / known[-1].flops) ** exponent
            rule = f"Kaplan's exponent {exponent:g} ({source})"
            picks.append({"rule": rule, "status": "ok", "reason": None, "params": asked, "interval": None})
    return picks


def _nearest(pick: Mapping[str, Any], runs: Runs, order: Any) -> dict[str, Any]:
    """The trained model nearest to the one asked for, and how much worse than the best trained it is."""
    if pick["status"] != "ok":
        return {}
    sizes, losses = runs.params[order], runs.loss[order]
    nearest = int(np.argmin(np.abs(np.log(sizes / pick["params"]))))
    return {
        "trained_params": float(sizes[nearest]),
        "measured": float(losses[nearest]),
        "above_the_best": float(losses[nearest] - losses.min()),
    }


def _predictions(runs: Runs, held_out: Mask, options: FitOptions) -> list[dict[str, Any]]:
    """Loss of every held-out run by each law of the runs below, with the intervals of a new run."""
    variables: dict[str, Array] = {"N": runs.params, "D": runs.tokens}
    rows: list[dict[str, Any]] = []
    for law in SURFACES:
        below = {name: values[~held_out] for name, values in variables.items()}
        try:
            starts = quick_starts(LAWS[law], below, runs.loss[~held_out])
            by_level = [
                backtest_law(
                    LAWS[law], variables, runs.loss, held_out, options.fitting_objective,
                    replace(options.departing, level=level), starts,
                )
                for level in LEVELS
            ]  # fmt: skip
        except FitRefusedError as refusal:
            rows.append({"law": law, "status": "refused", "reason": reason_of(refusal), "runs": []})
            continue
        rows.append({"law": law, "status": "ok", "reason": None, "runs": [
            {
                "params": float(runs.params[index]),
                "measured": float(runs.loss[index]),
                "predicted": float(by_level[0].predicted[i]),
                "intervals": [
                    {"level": p.level, "low": float(p.low[i]), "high": float(p.high[i]),
                     "inside": bool(p.low[i] <= runs.loss[index] <= p.high[i])} for p in by_level
                ],
            }
            for i, index in enumerate(by_level[0].held_out)
        ]})  # fmt: skip
    return rows


def _family(table: RunTable, options: FitOptions) -> ShapeFamily:
    return ShapeFamily(table.shapes(), options.params_convention, options.flops_convention)

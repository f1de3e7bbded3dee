"""The answer in words: which model each budget should train, what loss to expect, and how far that can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scaling_lab.figures.backtest import LAW_NAMES
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import PARAMS
from scaling_lab.fits.rates import rate_evidence
from scaling_lab.fits.study_plan import hours_of
from scaling_lab.fits.trust import LARGEST_ERROR, Evidence, reasons_against
from scaling_lab.report.formats import count, flops, percent

OFF_BY = (0.25, 0.5, 2.0, 4.0)


def answer_paragraphs(data: StudyData, bytes_per_token: float | None) -> list[str]:
    """Plain sentences, the decision first; where nothing can be recommended they say so."""
    planned = [budget for budget in data.plan["budgets"] if budget["status"] == "ok"]
    if not planned:
        return [_no_answer(data.plan)]
    paragraphs = [_recommendation(planned[0], data, bytes_per_token)]
    if len(planned) > 1:
        paragraphs.append(_growth(planned[0], planned[-1]))
    return [*paragraphs, _trust(data), *_contradiction(planned, data)]


def _no_answer(plan: Mapping[str, Any]) -> str:
    if all(reason and reason["code"] == "not_fitted" for reason in plan["reasons"].values()):
        return "This study fits no law of size and data together and no IsoFLOP profile, so it plans nothing."
    reasons = "; ".join(f"{law}: {reason['message']}" for law, reason in plan["reasons"].items() if reason)
    return f"These runs do not support a recommendation. Both ways to one were refused. {reasons}."


def _recommendation(budget: Mapping[str, Any], data: StudyData, bytes_per_token: float | None) -> str:
    model, largest = budget["model"], data.plan["largest_run"]
    multiple = budget["flops"] / largest["flops"]
    return (
        f"For {flops(budget['flops'])} training FLOPs, {multiple:.3g} times the largest run measured here, train a "
        f"model of {count(model['params'])} {PARAMS[data.params_column]} ({model['n_layer']} layers of width "
        f"{model['d_model']}) on {count(model['tokens'])} tokens, which is {model['tokens_per_param']:.3g} tokens "
        f"per parameter, in {model['steps']:,} steps of {model['batch_tokens']:,} tokens at "
        f"{_rate_in_words(model)}. " + _expected(model["loss"], bytes_per_token, data.plan.get("departure"))
    )


def _rate_in_words(model: Mapping[str, Any]) -> str:
    """The peak rate, or that its rule gives none there. Plans of earlier versions never refused one."""
    if model["learning_rate"] is None:
        return f"a peak learning rate that is yours to find ({model['learning_rate_refused']})"
    return f"a peak learning rate of {model['learning_rate']:.2g}"


def _expected(
    loss: Mapping[str, Any] | None, bytes_per_token: float | None, departure: Mapping[str, Any] | None
) -> str:
    if loss is None:
        return "No loss is predicted, because the law of loss against size and data was refused."
    narrow, wide = loss["intervals"]
    bits = f", {bits_per_byte(loss['value'], bytes_per_token):.2f} bits per byte" if bytes_per_token else ""
    return (
        f"Expect a test loss of {loss['value']:.2f} nats per token{bits}: between {narrow['low']:.2f} and "
        f"{narrow['high']:.2f} with {percent(narrow['level'], 0)} probability and between {wide['low']:.2f} and "
        f"{wide['high']:.2f} with {percent(wide['level'], 0)}, {_if_it_holds(departure)}."
    )


def _if_it_holds(departure: Mapping[str, Any] | None) -> str:
    if departure is None:
        return "if the law goes on to hold exactly"
    return f"if losses go on to depart from the law by {percent(departure['median'], 1)}, as these runs let expect"


def bits_per_byte(nats_per_token: float, bytes_per_token: float) -> float:
    """Nats per token as bits per byte of text."""
    return nats_per_token / math.log(2) / bytes_per_token


def _growth(first: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    """How the recommendation moves from the smallest to the largest planned budget."""
    span = last["flops"] / first["flops"]
    size = last["model"]["params"] / first["model"]["params"]
    data = last["model"]["tokens"] / first["model"]["tokens"]
    beyond = last["extrapolation"]["flops_decades"]
    return (
        f"Of {span:.3g} times more compute, put {size:.2g} times into size and {data:.2g} times into tokens. The "
        f"largest budget planned lies {beyond:.1f} decades beyond the measured runs; take its numbers as a "
        "direction, not a promise."
    )


def _trust(data: StudyData) -> str:
    """What the backtest says about the law that the plan rests on."""
    basis = data.plan["basis"]
    outcome = data.backtest["laws"].get(basis)
    if outcome is None or outcome["status"] != "ok":
        return "No backtest supports these predictions: the law could not be fitted without the most expensive runs."
    inside = round(outcome["coverage"] * outcome["n"])
    error = outcome["mean_absolute_relative_error"]
    verdict = ""
    if error > LARGEST_ERROR:
        verdict = " That is a miss: take the sizes as a direction and do not rely on the predicted losses."
    elif 2 * inside < outcome["n"]:
        verdict = " The error is small, but the intervals are too narrow."
    others = [
        f"{LAW_NAMES[name]} {percent(error)}" for name, error in data.plan["backtest_errors"].items() if name != basis
    ]
    chosen = (
        f" The plan rests on the law of L(N, D) that predicted best ({', '.join(others)}); chosen by these same "
        "runs, its error is flattered by the choice."
        if others
        else ""
    )
    return (
        f"How far to trust it: fitted without the {outcome['n']} most expensive runs, {LAW_NAMES[basis]} predicted "
        f"them with a mean error of {percent(error)} (largest "
        f"{percent(outcome['largest_absolute_relative_error'])}), and {inside} of {outcome['n']} lay inside their "
        f"{percent(data.backtest['level'], 0)} interval.{verdict}{chosen}"
    )


def _contradiction(planned: Sequence[Mapping[str, Any]], data: StudyData) -> list[str]:
    """A sentence where the law promises a larger budget no better loss than a run of this study already has."""
    best = min(row[data.loss_column] for row in data.runs)
    losses = [budget["model"]["loss"]["value"] for budget in planned if budget["model"]["loss"]]
    if not any(loss >= best for loss in losses):
        return []
    return [
        f"The law contradicts the runs: it predicts {max(losses):.2f} nats where a smaller budget already measured "
        f"{best:.2f}. It does not describe the largest runs of this study, so do not rely on the predicted losses."
    ]


def plan_notes(data: StudyData) -> list[str]:
    """What the plan warns of, each once, with the budgets that it is about."""
    return _with_budgets(data.plan["budgets"], [budget["warnings"] for budget in data.plan["budgets"]])


def reasons_not_to_trust(data: StudyData) -> list[str]:
    """What speaks against the plan, each once, with the budgets that it is about; often nothing."""
    surface = data.fit(data.plan["basis"]) if data.plan["basis"] else None
    record = surface.record if surface else None
    rates = rate_evidence(data.results, list(data.runs_by_id))
    evidence = Evidence(data.plan, data.backtest, data.noise, data.approaches, data.sensitivity, record, rates)
    budgets = data.plan["budgets"]
    return _with_budgets(budgets, [[r["message"] for r in reasons_against(b, evidence)] for b in budgets])


def hours_rows(data: StudyData) -> list[dict[str, Any]]:
    """Hours of every budget by device; the devices are those of `science.hardware`."""
    return [{"flops": budget["flops"], "hours": hours_of(budget["flops"], None)} for budget in data.plan["budgets"]]


def _with_budgets(budgets: Sequence[Mapping[str, Any]], texts: Sequence[Sequence[str]]) -> list[str]:
    """Each text once, with the budgets that it is about."""
    notes: dict[str, list[str]] = {}
    for budget, own in zip(budgets, texts, strict=True):
        for note in own:
            notes.setdefault(note, []).append(flops(budget["flops"]))
    return [
        f"{note} ({'all budgets' if len(about) == len(budgets) else ', '.join(about) + ' FLOPs'})"
        for note, about in notes.items()
    ]


def plan_rows(data: StudyData, bytes_per_token: float | None) -> list[dict[str, Any]]:
    """One row per budget for the plan's table; refused budgets keep their warnings and nothing else."""
    rows = []
    for budget in data.plan["budgets"]:
        row = {**budget, "multiple": budget["flops"] / data.plan["largest_run"]["flops"]}
        if budget["status"] == "ok":
            source = budget["law"] or budget["isoflop"]
            loss = budget["model"]["loss"]
            row |= {"params_opt": source["params_opt"], "tokens_opt": source["tokens_opt"], "loss": loss}
            row["bits_per_byte"] = bits_per_byte(loss["value"], bytes_per_token) if loss and bytes_per_token else None
        rows.append(row)
    return rows


def regret_rows(data: StudyData) -> list[dict[str, Any]]:
    """What a model of another size than the best costs at the same budget: compute wasted, in per cent."""
    rows = []
    for budget in data.plan["budgets"]:
        regret = (budget.get("law") or {}).get("regret")
        if regret is not None:
            rows.append({"flops": budget["flops"], "cells": [_at(regret, factor) for factor in OFF_BY]})
    return rows


def _at(regret: Mapping[str, Any], factor: float) -> dict[str, Any]:
    sizes: Sequence[float] = regret["params"]
    middle = math.sqrt(sizes[0] * sizes[-1])
    nearest = min(range(len(sizes)), key=lambda i: abs(math.log(sizes[i] / middle / factor)))
    return {
        "factor": factor,
        "loss": regret["loss_nats"][nearest],
        "compute_percent": regret["compute_percent"][nearest],
        "compute_percent_high": regret["compute_percent_high"][nearest],
    }

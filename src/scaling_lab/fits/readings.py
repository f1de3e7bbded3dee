"""One table of runs read by a count of N and one of FLOPs: what the approaches to N*(C) and D*(C) are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scaling_lab.fits.isoflop import study_runs, token_cost
from scaling_lab.fits.labels import flops_label, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.table import RunTable
from scaling_lab.science.accounting import PARAMS_CONVENTIONS, FlopsConvention
from scaling_lab.science.allocation import Allocation, Approaches, Question
from scaling_lab.science.approaches import ApproachOptions, LawDraws, budget_profiles, compare_approaches
from scaling_lab.science.curve_envelope import Curve
from scaling_lab.science.interpolated import interpolated_profiles, reachable_budgets
from scaling_lab.science.isoflop import MINIMUM_BUDGETS, Profile, TokenCost
from scaling_lab.science.laws import LAWS
from scaling_lab.science.runs import Runs
from scaling_lab.science.shapes import ShapeFamily

RECORDED_SMOOTH = 0.0  # the curves that a run records are smoothed already
STARTS_STEP = 45  # of the 4,500 published starts those that a reading beside the study's own is fitted from
QUICK_RESAMPLES = 200


@dataclass(frozen=True)
class Reading:
    """The runs, their curves, IsoFLOP profiles and the question, all by the counts of `options`."""

    options: FitOptions
    runs: Runs
    curves: tuple[Curve, ...]
    profiles: tuple[Profile, ...]
    cost: TokenCost
    question: Question
    draws: LawDraws = field(default_factory=LawDraws)

    @property
    def approach_options(self) -> ApproachOptions:
        """Objective, resampling and smoothing for `science.approaches`."""
        options = self.options
        return ApproachOptions(
            options.fitting_objective, options.departing, smoothing=RECORDED_SMOOTH, draws=self.draws
        )

    @property
    def conventions(self) -> dict[str, dict[str, str]]:
        """What N and C count, for a document."""
        return conventions_of(self.options)

    def answer(self) -> Approaches:
        """What every approach says."""
        return self._answer(self.approach_options)

    def quick_answer(self) -> Approaches:
        """The same from fewer starts and resamples, for a reading beside the study's own."""
        chosen, resampling = self.approach_options, self.options.departing
        fewer = replace(resampling, resamples=min(resampling.resamples, QUICK_RESAMPLES))
        starts = LAWS["hoffmann"].start_grid()[::STARTS_STEP]
        return self._answer(replace(chosen, starts=starts, resampling=fewer))

    def of_curves(self, name: str, curves: Sequence[Curve]) -> Allocation:
        """The answer of one approach to training curves from other curves."""
        answer = compare_approaches(
            self.runs, self.question, self.profiles, self.cost, self.approach_options, curves, (name,)
        )
        return answer.allocations[name]

    def _answer(self, chosen: ApproachOptions) -> Approaches:
        return compare_approaches(self.runs, self.question, self.profiles, self.cost, chosen, self.curves)


def conventions_of(options: FitOptions) -> dict[str, dict[str, str]]:
    """What N and C count by the options of a fit, for a document."""
    return {
        "params": {"column": options.params_convention, "label": params_label(options.params_convention)},
        "flops": {"column": options.flops_column, "label": flops_label(options.flops_convention)},
    }


def own_reading(table: RunTable, curves: Sequence[Curve], options: FitOptions, budgets: Sequence[float]) -> Reading:
    """The runs by the study's counts: its profiles are the budgets that were trained.

    Raises FitRefusedError without Transformers, whose shapes the question continues.
    """
    runs, cost = study_runs(table, options), token_cost(table, options)
    family = ShapeFamily(table.shapes(), options.params_convention, options.flops_convention)
    question = Question(np.array(budgets), family.flops_per_token, family.params_range)
    return Reading(options, runs, tuple(curves), tuple(budget_profiles(runs, cost)), cost, question)


def other_readings(table: RunTable, own: Reading) -> list[Reading]:
    """The same runs by every other pair of three counts of N and two of FLOPs (papers.md E.7 and E.8)."""
    options = own.options
    counts: tuple[FlopsConvention, ...] = (options.flops_convention, other_flops(options.flops_convention))
    pairs = [(params, flops) for flops in counts for params, _ in PARAMS_CONVENTIONS]
    mine = (options.params_convention, options.flops_convention)
    return [_recount(table, own, *pair) for pair in pairs if pair != mine]


def other_flops(convention: FlopsConvention) -> FlopsConvention:
    """The count to compare with: 6 N, which leaves the head out, or every matrix product where a study counts 6 N."""
    return "matmul" if convention == "6n" else "6n"


def _recount(table: RunTable, own: Reading, params: Any, flops: FlopsConvention) -> Reading:
    options = own.options.model_copy(update={"params_convention": params, "flops_convention": flops})
    runs, cost = study_runs(table, options), token_cost(table, options)
    family = ShapeFamily(table.shapes(), params, flops)
    largest = max(table.shapes(), key=lambda shape: shape.params_non_embedding)
    # A budget is converted at what a token costs the largest model.
    scale = largest.flops_per_token(flops) / largest.flops_per_token(own.options.flops_convention)
    question = Question(own.question.budgets * scale, family.flops_per_token, family.params_range)
    per_token = table.numbers(options.flops_per_token_column)
    curves = tuple(
        replace(curve, params=float(size), flops=curve.tokens * each)
        for curve, size, each in zip(own.curves, runs.params, per_token, strict=True)
    )
    return Reading(options, runs, curves, _profiles(own, runs, cost), cost, question, own.draws)


def _profiles(own: Reading, runs: Runs, cost: TokenCost) -> tuple[Profile, ...]:
    """By the study's own FLOPs the runs of a budget still cost the same; by others their losses are interpolated."""
    if np.array_equal(runs.flops, own.runs.flops):
        return tuple(budget_profiles(runs, cost))
    budgets = reachable_budgets(runs, max(len(own.profiles), MINIMUM_BUDGETS))
    return tuple(interpolated_profiles(runs, budgets, cost))

"""Causes of disagreement taken away by computation: a shared grid, a missing offset, another answer, other counts."""

import numpy as np
import pytest
from tests.science.simulated import SIX_N

from scaling_lab.science.allocation import Allocation, Approaches, Disagreement, Estimate, Question
from scaling_lab.science.approaches import ApproachOptions, budget_profiles, compare_approaches
from scaling_lab.science.bootstrap import BootstrapOptions, Interval
from scaling_lab.science.causes import (
    by_another_answer,
    try_departure,
    try_reading,
    try_remedies,
    without_grid_bias,
    without_offset,
)
from scaling_lab.science.laws import hoffmann
from scaling_lab.science.optimum import closed_form_optimum
from scaling_lab.science.runs import Runs

LOPSIDED = {"E": 1.7, "A": 400.0, "B": 400.0, "alpha": 0.5, "beta": 0.2}
QUESTION = Question(np.array([1e16]), SIX_N, (1e3, 1e12))


def shared_grid(noise: float = 1e-4) -> Runs:
    sizes, budgets = np.geomspace(1e4, 1e6, 12), np.geomspace(1e13, 1e15, 6)
    n, c = (grid.ravel() for grid in np.meshgrid(sizes, budgets, indexing="ij"))
    loss = hoffmann(n, c / (6 * n), **LOPSIDED) * np.exp(noise * np.random.default_rng(0).standard_normal(len(n)))
    return Runs(n, c / (6 * n), c, np.asarray(loss))


def estimate(low: float, high: float) -> Estimate:
    interval = Interval(0.9, low, high)
    return Estimate((low + high) / 2, interval, interval)


def allocation(name: str, a: Estimate, params: Estimate) -> Allocation:
    optimum = {"params": params, "tokens": params, "tokens_per_param": params}
    return Allocation(name, {"a": a, "b": a}, (optimum,), 100, {}, None)


def pair_of(first: Allocation, second: Allocation) -> tuple[Disagreement, Approaches]:
    answer = Approaches(np.array([1e16]), 0.9, {first.approach: first, second.approach: second})
    (pair,) = answer.disagreements
    return pair, answer


def departed(low: float, high: float, by: float) -> Estimate:
    return Estimate((low + high) / 2, Interval(0.9, low, high), Interval(0.9, low - by, high + by))


@pytest.mark.parametrize(("by", "explains"), [(0.01, False), (0.1, True)])
def test_a_departure_explains_where_the_intervals_that_contain_it_overlap(by: float, explains: bool) -> None:
    first = allocation("isoflop_parabola", departed(0.6, 0.7, by), estimate(1e6, 2e6))
    second = allocation("kaplan", departed(0.4, 0.5, by), estimate(1e6, 2e6))
    pair, answer = pair_of(first, second)
    assert (pair.exponent, pair.departed_exponent) == (True, not explains)
    trial = try_departure(pair, answer)
    assert (trial.cause, trial.explains) == ("departure", explains)
    assert trial.first is not None
    assert trial.first.interval == Interval(0.9, 0.6 - by, 0.7 + by)


def test_the_bias_of_a_shared_grid_explains_why_parabolas_and_law_disagree() -> None:
    runs = shared_grid()
    profiles = [profile for profile in budget_profiles(runs, SIX_N) if profile.vertex is not None]
    options = ApproachOptions(resampling=BootstrapOptions(100, starts=2))
    answer = compare_approaches(
        runs, QUESTION, profiles, SIX_N, options, only=("isoflop_parabola", "variable_projection")
    )
    (pair,) = answer.disagreements
    assert pair.exponent
    remedy = without_grid_bias(profiles, SIX_N, runs, QUESTION)
    (trial,) = try_remedies(pair, answer, {"grid": ("less its bias", remedy)})
    assert trial.explains
    assert trial.first is not None
    assert trial.first.value == pytest.approx(LOPSIDED["beta"] / 0.7, abs=0.02)
    assert remedy(answer.allocations["variable_projection"]) is None
    corrected = remedy(answer.allocations["isoflop_parabola"])
    assert corrected is not None
    assert corrected.optima[0]["params"].value == pytest.approx(
        float(closed_form_optimum(LOPSIDED, 1e16).params), rel=0.15
    )


def test_a_law_is_asked_again_without_its_offset() -> None:
    runs = shared_grid()
    options = ApproachOptions(resampling=BootstrapOptions(40, starts=2))
    remedy = without_offset(runs, (1e13, 1e15), QUESTION, options)
    with_offset = allocation("variable_projection", estimate(0.28, 0.29), estimate(1e5, 2e5))
    found = remedy(with_offset)
    assert found is not None
    assert found.approach == "variable_projection"
    assert abs(found.exponents["a"].value - 0.2857) > 1e-3
    assert remedy(allocation("kaplan", estimate(0.5, 0.6), estimate(1, 2))) is None


def test_a_cause_explains_only_where_the_intervals_then_overlap() -> None:
    first = allocation("envelope", estimate(0.6, 0.7), estimate(1e6, 2e6))
    second = allocation("parametric", estimate(0.4, 0.5), estimate(1e6, 2e6))
    pair, answer = pair_of(first, second)
    near = allocation("envelope", estimate(0.45, 0.55), estimate(1e6, 2e6))
    far = allocation("envelope", estimate(0.45, 0.55), estimate(1e8, 2e8))
    for instead, explains in ((near, True), (far, False)):
        remedy = by_another_answer(("envelope",), lambda _, instead=instead: instead)
        (trial,) = try_remedies(pair, answer, {"schedule": ("ends alone", remedy)})
        assert (trial.cause, trial.explains) == ("schedule", explains)
    agreeing = Approaches(np.array([1e16]), 0.9, {"envelope": near, "parametric": second})
    reading = try_reading(pair, agreeing, "N: total")
    assert reading is not None
    assert reading.explains

"""Batch scans, L(N, S_min) and the compute frontier on curves drawn from planted laws without noise."""

from dataclasses import replace

import numpy as np
import pytest

from scaling_lab.science.batch import steps_for_tokens
from scaling_lab.science.batch_by_size import compare_sizes
from scaling_lab.science.batch_scan import scan_batches
from scaling_lab.science.bootstrap import BootstrapOptions
from scaling_lab.science.compute_frontier import bootstrap_frontier, fit_frontier
from scaling_lab.science.critical_batch import bootstrap_critical_batch, fit_critical_batch
from scaling_lab.science.fitting import Objective
from scaling_lab.science.frontier import TrainingLaw
from scaling_lab.science.published import PUBLISHED
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.training_curve import TrainingCurve
from scaling_lab.science.training_law import bootstrap_training_law, fit_training_law, training_points
from scaling_lab.simulator.planted import PLANTED, PlantedLaws

LAWS = PLANTED["kaplan2020"]
TABLE_3, BATCH = PUBLISHED["kaplan_steps"].values, PUBLISHED["kaplan_batch"].values
SIZES = tuple(24_576 * 4.0**k for k in range(8))
OPTIONS = BootstrapOptions(resamples=40)


def curve(
    params: float,
    batch: float,
    rate: float = 1.0,
    tokens: float = 1.31e11,
    slower: float = 1.0,
    laws: PlantedLaws = LAWS,
) -> TrainingCurve:
    steps = np.geomspace(2000, tokens / batch, 150)
    loss = laws.training_loss(params, steps / slower, batch)
    name, unmeasured = f"N{params:g}-B{batch:g}-r{rate:g}", np.full(150, np.nan)
    return TrainingCurve(name, params, batch, rate, 6 * params, steps, loss, unmeasured)


def scan_curves(batches: tuple[float, ...]) -> list[TrainingCurve]:
    """Two sizes; of the three rates of each batch the middle one is best."""
    return [
        curve(params, batch, rate, 4e10, slower)
        for params in (3e6, 85e6)
        for batch in batches
        for rate, slower in ((0.5, 1.3), (1.0, 1.0), (2.0, 1.2))
    ]


LADDER = [curve(params, 2.0**19) for params in SIZES]
SCAN = scan_batches(scan_curves(tuple(2.0**k for k in range(15, 22))))


def test_steps_to_a_loss_are_those_of_the_law() -> None:
    one = curve(3e6, 2.0**19)
    steps = one.steps_to(np.array([4.0, 3.8, 3.0]))
    assert LAWS.training_loss(3e6, steps[:2], 2.0**19) == pytest.approx([4.0, 3.8], rel=1e-4)
    assert np.isnan(steps[2])  # below what these parameters reach
    assert np.isnan(one.steps_to(np.array([9.0]))[0])  # before the curve begins


def test_the_scan_takes_the_best_rate_and_common_losses() -> None:
    assert {run.rsplit("-", 1)[1] for run in SCAN.run} == {"r1"}
    assert not SCAN.at_edge.any()
    assert np.bincount(SCAN.target).min() >= 4
    for params in (3e6, 85e6):
        assert SCAN.loss[SCAN.params == params].min() > (TABLE_3["Nc"] / params) ** TABLE_3["alpha_N"]


def test_batches_of_a_single_rate_are_left_out_of_a_scan_over_rates() -> None:
    with_one = scan_batches([*scan_curves(tuple(2.0**k for k in range(15, 22))), curve(3e6, 2.0**18 * 1.5)])
    assert set(with_one.batch) == set(SCAN.batch)


def test_the_critical_batch_is_the_planted_one() -> None:
    found = fit_critical_batch(SCAN)
    assert found.alpha_B == pytest.approx(BATCH["alpha_B"], rel=0.01)
    assert found.at(np.array([3.5])) == pytest.approx(LAWS.critical_batch(np.array([3.5])), rel=0.01)
    s_min, e_min, critical = found.own.T
    assert e_min / s_min == pytest.approx(critical)
    assert critical == pytest.approx(LAWS.critical_batch(found.targets), rel=0.1)
    k = SCAN.target == 2
    tokens = SCAN.tokens[k]
    assert SCAN.steps[k] == pytest.approx(steps_for_tokens(tokens, s_min[2], e_min[2]), rel=0.05)
    draws = bootstrap_critical_batch(found, OPTIONS)
    interval = draws.interval("alpha_B", 0.9)
    assert interval is not None
    assert interval.low <= found.alpha_B <= interval.high


@pytest.mark.parametrize("growth", [0.0, 0.3])
def test_a_critical_batch_that_depends_on_size_is_told_from_one_that_does_not(growth: float) -> None:
    rng = np.random.default_rng(1)
    curves = []
    for params in (3e6, 16e6, 85e6):
        batch = {**BATCH, "B_star": BATCH["B_star"] * (params / 16e6) ** growth}
        laws = replace(LAWS, batch=batch)
        slower = np.exp(0.02 * rng.standard_normal(7))  # a cell's own noise, all along its curve
        curves += [curve(params, 2.0 ** (15 + k), tokens=4e10, slower=slower[k], laws=laws) for k in range(7)]
    found = compare_sizes(scan_batches(curves), BootstrapOptions(resamples=200))
    value, draws = found.growth
    low, high = np.quantile(draws, [0.05, 0.95])
    assert low < growth < high
    assert bool(low < 0 < high) == (growth == 0)
    assert high - low < 0.3
    assert value == pytest.approx(growth, abs=0.12)
    _, drawn = found.steepening
    assert np.quantile(drawn, 0.05) < 0 < np.quantile(drawn, 0.95)
    assert found.exponent == pytest.approx(1 / BATCH["alpha_B"], rel=0.5)
    assert found.batch[1] == pytest.approx(LAWS.critical_batch(np.array([found.loss]))[0], rel=0.3)


def test_one_size_is_compared_with_nothing() -> None:
    with pytest.raises(FitRefusedError, match="one size alone"):
        compare_sizes(SCAN.of_size(3e6), OPTIONS)


@pytest.mark.parametrize(
    ("batches", "code", "words"),
    [
        ((2.0**20, 2.0**21), RefusalCode.TOO_FEW_POINTS, "4 batches"),
        (tuple(2.0**k for k in range(22, 27)), RefusalCode.NOT_IDENTIFIED, "span it on both sides"),
    ],
)
def test_batches_that_do_not_tell_the_critical_one(batches: tuple[float, ...], code: RefusalCode, words: str) -> None:
    with pytest.raises(FitRefusedError, match=words) as refused:
        fit_critical_batch(scan_batches([curve(3e6, batch, tokens=2e12) for batch in batches]))
    assert refused.value.code is code


def test_the_training_law_is_table_3() -> None:
    points = training_points(LADDER)
    fit = fit_training_law(points, LAWS.critical_batch, Objective("squares"))
    assert fit.parameters == pytest.approx(TABLE_3, rel=1e-3)
    critical = bootstrap_critical_batch(fit_critical_batch(SCAN), OPTIONS)
    draws = bootstrap_training_law(points, fit, critical, OPTIONS)
    assert len(draws.values["B_star"]) == draws.count == 40
    assert len(np.unique(draws.values["alpha_B"])) == 20
    uncorrected = fit_training_law(points, None, Objective("squares"))
    assert uncorrected.parameters["Sc"] > 1.5 * TABLE_3["Sc"]  # at a finite batch more steps are needed


def test_the_frontier_is_that_of_appendix_b() -> None:
    frontier = fit_frontier(LADDER, LAWS.critical_batch)
    theory = TrainingLaw(**TABLE_3, **BATCH)
    exponents = {name: slope for name, (slope, _) in frontier.laws.items()}
    expected = {"loss": -theory.alpha_C, "params": theory.exponents["N"], "steps": theory.exponents["S"],
                "tokens": theory.exponents["D"], "batch": theory.exponents["B"]}  # fmt: skip
    assert exponents == pytest.approx(expected, abs=0.02)
    assert frontier.loss == pytest.approx(theory.loss(frontier.flops), rel=2e-3)
    assert frontier.params == pytest.approx(theory.params(frontier.flops), rel=0.15)
    assert frontier.steps == pytest.approx(theory.steps(frontier.flops), rel=0.15)
    assert frontier.tokens == pytest.approx(2 * frontier.flops / (6 * frontier.params), rel=1e-6)
    naive = fit_frontier(LADDER)
    assert naive.laws["params"][0] > exponents["params"]  # at a fixed batch a larger budget buys size alone
    assert naive.batch == pytest.approx(2.0**19)


def test_the_frontier_needs_sizes_on_both_sides() -> None:
    with pytest.raises(FitRefusedError, match="others on both sides"):
        fit_frontier(LADDER[:3], LAWS.critical_batch)
    draws = bootstrap_frontier(LADDER, None, BootstrapOptions(resamples=5))
    assert draws.count == 5

"""Kaplan's appendix B: the compute-efficient frontier, stopping and sub-optimal sizes (papers.md F7, F8)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.frontier import (
    PRINTED_ALPHA_C,
    TrainingLaw,
    size_compute_cost,
    size_steps_cost,
    smallest_size,
    stopping_ratios,
)
from scaling_lab.science.laws import critical_batch, kaplan_steps
from scaling_lab.science.published import PUBLISHED

KAPLAN = TrainingLaw(**PUBLISHED["kaplan_steps"].values, **PUBLISHED["kaplan_batch"].values)


def test_exponents() -> None:
    """alpha_C is .052, not the .054 printed at Eq 6.4 (papers.md A.11)."""
    assert KAPLAN.alpha_C == pytest.approx(0.05245294, abs=1e-8)
    rounded = TrainingLaw(**{**PUBLISHED["kaplan_steps"].values, "alpha_N": 0.076}, **PUBLISHED["kaplan_batch"].values)
    assert rounded.alpha_C == pytest.approx(0.05198697, abs=1e-8)
    assert round(rounded.alpha_C, 3) == round(KAPLAN.alpha_C, 3) == PRINTED_ALPHA_C["eq_b_7"]
    assert PRINTED_ALPHA_C["eq_6_4"] / 0.076 == pytest.approx(0.71, abs=1e-3)  # Eq 6.5 follows from the misprint
    powers = KAPLAN.exponents
    assert powers["N"] == pytest.approx(0.6812071, abs=1e-7)
    assert powers["B"] == pytest.approx(0.2497759, abs=1e-7)
    assert powers["S"] == pytest.approx(0.06901703, abs=1e-8)
    assert powers["D"] == pytest.approx(0.3187929, abs=1e-7)
    assert powers["N"] + powers["B"] + powers["S"] == pytest.approx(1)


def test_scale() -> None:
    assert KAPLAN.ratio == pytest.approx(0.1013158, abs=1e-7)
    assert KAPLAN.Cc == pytest.approx(1.3908487e28, rel=1e-7)
    assert KAPLAN.Cc / PF_DAY == pytest.approx(1.6097786e8, rel=1e-7)


@pytest.mark.parametrize(
    ("pf_days", "loss", "params", "steps", "batch"),
    [
        (1e-3, 3.8710418, 5_285_611, 8170.12, 333_456),
        (1, 2.6944432, 5.844082e8, 13_160.71, 1_872_262),
        (1e3, 1.8754704, 6.461561e10, 21_199.74, 10_512_221),
    ],
)
def test_frontier(pf_days: float, loss: float, params: float, steps: float, batch: float) -> None:
    flops = pf_days * PF_DAY
    assert KAPLAN.loss(flops) == pytest.approx(loss, abs=6e-8)
    assert KAPLAN.params(flops) == pytest.approx(params, rel=2e-7)
    assert KAPLAN.steps(flops) == pytest.approx(steps, rel=1e-6)
    assert KAPLAN.batch(flops) == pytest.approx(batch, rel=2e-6)


laws = st.builds(
    TrainingLaw,
    Nc=st.floats(1e10, 1e15),
    Sc=st.floats(1e2, 1e5),
    alpha_N=st.floats(0.03, 0.5),
    alpha_S=st.floats(0.3, 1.5),
    B_star=st.floats(1e6, 1e9),
    alpha_B=st.floats(0.1, 0.5),
)


@settings(deadline=None, max_examples=50)
@given(laws, st.floats(12, 24))
def test_frontier_identities(law: TrainingLaw, decade: float) -> None:
    flops = 10**decade
    size, steps, loss = law.params(flops), law.steps(flops), law.loss(flops)
    assert 6 * size * law.batch(flops) * steps == pytest.approx(flops, rel=1e-9)
    assert loss / law.converged_loss(size) == pytest.approx(1 + law.ratio)
    assert kaplan_steps(size, steps, law.Nc, law.Sc, law.alpha_N, law.alpha_S) == pytest.approx(loss)
    assert law.batch(flops) == pytest.approx(critical_batch(loss, law.B_star, law.alpha_B))
    assert law.flops_to_reach(size, loss) == pytest.approx(flops)
    assert law.loss_at(size, flops) == pytest.approx(loss)
    for factor in (0.8, 1.25):
        assert law.loss_at(size * factor, flops) > loss
        assert law.flops_to_reach(size * 1.25, loss) > flops


def test_minimising_b1_finds_the_frontier() -> None:
    best = minimize_scalar(
        lambda log_n: float(KAPLAN.loss_at(np.exp(log_n), PF_DAY)),
        bounds=(15, 25),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert np.exp(best.x) == pytest.approx(5.84408e8, rel=2e-5)
    assert best.fun == pytest.approx(2.694443, abs=1e-6)


def test_loss_at_solves_b1_and_broadcasts() -> None:
    sizes, flops = np.geomspace(1e6, 1e11, 4)[:, None], np.geomspace(1e15, 1e23, 5)
    loss = KAPLAN.loss_at(sizes, flops)
    assert loss.shape == (4, 5)
    steps = flops / (6 * sizes * critical_batch(loss, KAPLAN.B_star, KAPLAN.alpha_B))
    assert loss == pytest.approx(kaplan_steps(sizes, steps, **PUBLISHED["kaplan_steps"].values), rel=1e-12)
    assert (np.diff(loss, axis=1) < 0).all()


def test_a_loss_out_of_reach_is_nan() -> None:
    assert np.isnan(KAPLAN.flops_to_reach(1e6, 2.0))
    costs = KAPLAN.flops_to_reach(np.array([1e6, 1e12]), 2.0)
    assert np.isnan(costs[0])
    assert np.isfinite(costs[1])


@pytest.mark.parametrize(
    ("above", "size", "steps", "compute"),
    [(0.10, 2.666102, 0.1328773, 0.3542644), (KAPLAN.ratio, 2.707818, 1 / 7.644272, 0.3542283)],
)
def test_stopping(above: float, size: float, steps: float, compute: float) -> None:
    ratios = stopping_ratios(above, 0.02, KAPLAN.alpha_N, KAPLAN.alpha_S)
    assert ratios["N"] == pytest.approx(size, abs=6e-7)
    assert ratios["S"] == pytest.approx(steps, abs=6e-8)
    assert ratios["C"] == pytest.approx(compute, abs=6e-8)
    assert 1 / ratios["S"] == pytest.approx(7.526 if above == 0.10 else 7.7, abs=0.06 if above != 0.10 else 5e-4)


def test_stopping_ratios_are_those_of_the_law() -> None:
    """Two ways to the same loss: converged loss times 1 + f each."""
    loss, fractions = 2.5, (0.1, 0.02)
    sizes = [KAPLAN.Nc * ((1 + f) / loss) ** (1 / KAPLAN.alpha_N) for f in fractions]
    steps = [KAPLAN.Sc * ((1 + 1 / f) / loss) ** (1 / KAPLAN.alpha_S) for f in fractions]
    for n, s in zip(sizes, steps, strict=True):
        assert kaplan_steps(n, s, **PUBLISHED["kaplan_steps"].values) == pytest.approx(loss)
    ratios = stopping_ratios(*fractions, KAPLAN.alpha_N, KAPLAN.alpha_S)
    assert ratios["N"] == pytest.approx(sizes[0] / sizes[1])
    assert ratios["S"] == pytest.approx(steps[0] / steps[1])


@pytest.mark.parametrize(("x", "compute", "steps"), [(0.6, 1.164733, 1.941221), (2.2, 1.203720, 0.5471456)])
def test_suboptimal_sizes(x: float, compute: float, steps: float) -> None:
    assert size_compute_cost(x, 0.077, 0.76) == pytest.approx(compute, abs=6e-7)
    assert size_steps_cost(x, 0.077, 0.76) == pytest.approx(steps, abs=6e-7)


def test_band_of_sizes_that_cost_a_fifth_more() -> None:
    assert KAPLAN.size_band(0.2) == pytest.approx((0.5771959, 2.183195), rel=1e-6)
    low, high = KAPLAN.size_band(30.0)
    assert size_compute_cost(low, 0.077, 0.76) == pytest.approx(31, rel=1e-6)
    assert size_compute_cost(high, 0.077, 0.76) == pytest.approx(31, rel=1e-6)


def test_feasible_sizes() -> None:
    edge = smallest_size(0.077, KAPLAN.ratio)
    assert edge == pytest.approx(0.2855552, abs=6e-8)
    assert np.isnan(size_compute_cost(edge * 0.999, 0.077, 0.76))
    assert size_compute_cost(edge * 1.001, 0.077, 0.76) > 100


@given(laws, st.floats(0.9, 3), st.floats(14, 22))
def test_size_costs_are_those_of_the_law(law: TrainingLaw, x: float, decade: float) -> None:
    best = law.params(10**decade)
    cost = law.flops_to_reach(x * best, law.loss(10**decade)) / 10**decade
    expected = size_compute_cost(x, law.alpha_N, law.alpha_S)
    assert np.isnan(cost) == np.isnan(expected)
    if np.isfinite(expected):
        assert cost == pytest.approx(expected, rel=1e-6)
        assert expected >= 1 - 1e-9

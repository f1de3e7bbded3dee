"""Plans against the closed form, shapes that can be built, and backtests of planted laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.science.accounting import ParamsConvention, Shape
from scaling_lab.science.backtest import backtest_envelope, backtest_law, most_expensive
from scaling_lab.science.bootstrap import BootstrapOptions
from scaling_lab.science.fitting import Objective
from scaling_lab.science.laws import LAWS, Array, hoffmann
from scaling_lab.science.optimum import closed_form_optimum
from scaling_lab.science.planner import FittedLaw, extrapolation_decades, plan_budget, predicted_loss
from scaling_lab.science.projection import projected_starts
from scaling_lab.science.shapes import ShapeFamily

LAW = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
SHAPES = [
    Shape(layers, width, max(1, width // 16), 4 * width, 128, 512)
    for layers, width in ((1, 16), (2, 16), (2, 32), (3, 48), (4, 64))
]


def fitted(spread: float = 0.02) -> FittedLaw:
    rng = np.random.default_rng(0)
    draws = {name: value * np.exp(spread * rng.standard_normal(300)) for name, value in LAW.items()}
    return FittedLaw(LAW, draws, 0.003 * rng.standard_normal(40))


def test_the_plan_is_the_closed_form_optimum() -> None:
    plan = plan_budget(fitted(), 1e20, lambda n: 6 * n, (1e4, 1e14), seed=0)
    exact = closed_form_optimum(LAW, 1e20)
    assert plan.params.value == pytest.approx(float(exact.params), rel=1e-5)
    assert plan.tokens.value == pytest.approx(float(exact.tokens), rel=1e-5)
    assert plan.loss.value == pytest.approx(float(exact.loss))
    assert plan.edge_share == 0
    for quantity in (plan.params, plan.tokens, plan.tokens_per_param, plan.loss):
        narrow, wide = quantity.intervals
        assert (narrow.level, wide.level) == (0.8, 0.95)
        assert wide.low <= narrow.low <= quantity.value <= narrow.high <= wide.high


def test_regret_without_uncertainty_is_the_excess_over_the_frontier() -> None:
    """With one law known exactly, regret is zero at N* and its compute equivalent is that of the closed form."""
    certain = FittedLaw(LAW, {name: np.full(3, value) for name, value in LAW.items()}, np.zeros(3))
    regret = plan_budget(certain, 1e20, lambda n: 6 * n, (1e4, 1e14), seed=0).regret
    middle = len(regret.params) // 2
    assert regret.loss[middle] == pytest.approx(0, abs=1e-10)
    assert regret.compute_percent[middle] == pytest.approx(0, abs=1e-3)
    assert np.all(np.diff(regret.loss[: middle + 1]) < 0)
    assert np.all(np.diff(regret.loss[middle:]) > 0)
    for index in (4, 20):
        size = regret.params[index]
        reached = hoffmann(size, 1e20 / (6 * size), **LAW)
        waste = 1 + regret.compute_percent[index] / 100
        assert float(closed_form_optimum(LAW, 1e20 / waste).loss) == pytest.approx(reached, rel=1e-4)


def test_regret_bounds_grow_with_uncertainty() -> None:
    low, high = (plan_budget(fitted(s), 1e20, lambda n: 6 * n, (1e4, 1e14), seed=0).regret for s in (0.005, 0.05))
    assert np.all(high.loss_high >= low.loss_high)
    assert np.all(low.loss_high >= low.loss)


def test_a_plan_without_interior_optimum_says_so() -> None:
    plan = plan_budget(fitted(), 1e20, lambda n: 6 * n, (1e4, 1e6), seed=0)
    assert plan.edge_share == 1


def test_predicted_loss_contains_the_noise_of_a_run() -> None:
    exact = FittedLaw(LAW, {name: np.full(500, value) for name, value in LAW.items()}, np.array([-0.01, 0.0, 0.01]))
    interval = predicted_loss(exact, 1e9, 2e10, seed=0).intervals[1]
    assert interval.high / interval.low == pytest.approx(np.exp(0.02))


def test_extrapolation_distance() -> None:
    assert extrapolation_decades(1e20, 1e18) == pytest.approx(2)
    assert extrapolation_decades(1e17, 1e18) == 0


@pytest.mark.parametrize("convention", ["params_non_embedding", "params_with_head", "params_total"])
def test_the_family_passes_through_its_shapes(convention: ParamsConvention) -> None:
    family = ShapeFamily(SHAPES, convention, "matmul")
    for shape in SHAPES:
        assert family.flops_per_token(shape.params(convention)) == pytest.approx(
            shape.flops_per_token("matmul"), rel=1e-3
        )
        assert family.aspect(shape.params(convention)) == pytest.approx(shape.d_model / shape.n_layer, rel=1e-2)


def test_shapes_of_the_study_are_found_again() -> None:
    family = ShapeFamily(SHAPES, "params_non_embedding", "matmul")
    for shape in SHAPES:
        assert family.nearest(shape.params_non_embedding) == shape


@settings(max_examples=40)
@given(st.floats(4, 11), st.sampled_from(["params_non_embedding", "params_total"]))
def test_nearest_shapes_are_near(decade: float, convention: ParamsConvention) -> None:
    family = ShapeFamily(SHAPES, convention, "matmul")
    shape = family.nearest(10**decade)
    assert shape.d_model % 8 == 0
    assert shape.params(convention) == pytest.approx(10**decade, rel=0.4 if decade < 6 else 0.1)
    assert shape.flops_per_token("matmul") == pytest.approx(
        float(family.flops_per_token(shape.params(convention))), rel=0.25 if decade < 6 else 0.1
    )


def surface(noise: float) -> tuple[dict[str, Array], Array, Array]:
    n, d = np.meshgrid(np.geomspace(1e6, 1e9, 7), np.geomspace(1e8, 1e11, 7))
    runs = {"N": n.ravel(), "D": d.ravel()}
    loss = LAWS["hoffmann"].predict(LAW, runs) * np.exp(noise * np.random.default_rng(5).standard_normal(49))
    return runs, loss, 6 * runs["N"] * runs["D"]


def test_backtest_predicts_the_held_out_runs() -> None:
    runs, loss, flops = surface(0.002)
    held = most_expensive(flops, 20)
    assert 3 <= held.sum() <= 12
    prediction = backtest_law(
        LAWS["hoffmann"], runs, loss, held, Objective(), BootstrapOptions(200), projected_starts(runs, loss)
    )
    assert prediction.held_out.tolist() == np.flatnonzero(held).tolist()
    assert prediction.mean_absolute_error < 0.01
    assert prediction.coverage >= 0.7
    assert np.allclose(prediction.relative_error, prediction.predicted / loss[held] - 1)


def test_backtest_exposes_a_law_of_the_wrong_form() -> None:
    """A pure power law through an envelope with an irreducible loss predicts too little, and says so."""
    runs, loss, flops = surface(0.0)
    prediction = backtest_envelope(
        flops, loss, runs["N"], most_expensive(flops, 100), Objective(), BootstrapOptions(100)
    )
    assert len(prediction.held_out) >= 2
    assert np.all(prediction.relative_error < 0)

"""What surrounds the optimum: hardware, recipe, serving, limited data, and laws with known parameters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.science.data_limited import data_limited_optimum
from scaling_lab.science.fitting import Objective, fit_law
from scaling_lab.science.fixing import fix_parameters
from scaling_lab.science.hardware import DEVICES, Hardware, device_by_name
from scaling_lab.science.hyperparameters import PUBLISHED_BATCHES
from scaling_lab.science.laws import LAWS, hoffmann, kaplan
from scaling_lab.science.optimum import closed_form_optimum, numerical_optimum
from scaling_lab.science.planner import BudgetPlan, FittedLaw, extrapolation_decades, plan_budget, quantity
from scaling_lab.science.recipe import CriticalBatch, training_recipe
from scaling_lab.science.serving import serving_optimum, tokens_to_reach

LAW = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
MUENNIGHOFF = {
    "E": np.exp(0.6254804), "A": np.exp(6.255414), "B": np.exp(7.3049974), "alpha": 0.3526596, "beta": 0.3526596,
}  # fmt: skip


def uncertain(spread: float = 0.01, draws: int = 300) -> FittedLaw:
    rng = np.random.default_rng(0)
    values = {name: value * np.exp(spread * rng.standard_normal(draws)) for name, value in LAW.items()}
    return FittedLaw(LAW, values, 0.003 * rng.standard_normal(40))


def plan(flops: float = 1e21, spread: float = 0.01) -> BudgetPlan:
    return plan_budget(uncertain(spread), flops, lambda size: 6 * size, (1e3, 1e15), seed=0)


@given(st.floats(17, 26))
@settings(max_examples=30)
def test_six_n_d_is_the_budget_and_both_terms_pull_equally(decade: float) -> None:
    best = numerical_optimum(LAW, 10**decade, lambda size: 6 * size, (1e2, 1e18))
    assert 6 * best.params * best.tokens == pytest.approx(10**decade)
    of_size = LAW["alpha"] * LAW["A"] / best.params ** LAW["alpha"]
    assert of_size == pytest.approx(LAW["beta"] * LAW["B"] / best.tokens ** LAW["beta"], rel=1e-4)


def test_the_numerical_optimum_takes_any_law_of_n_and_d() -> None:
    constants = {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}
    best = numerical_optimum(constants, 1e20, lambda size: 6 * size, (1e4, 1e14), kaplan)
    for factor in (0.9, 1.1):
        size = best.params * factor
        assert kaplan(size, 1e20 / (6 * size), **constants) > best.loss


def test_intervals_widen_with_the_distance_of_the_extrapolation() -> None:
    """The data of a fit pin the law where they lie: draws that agree there part with the distance."""
    rng = np.random.default_rng(1)
    sizes, data = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(2e9, 2e11, 6)))
    losses = hoffmann(sizes, data, **LAW)
    draws: dict[str, list[float]] = {name: [] for name in LAW}
    for _ in range(40):
        noisy = losses * np.exp(0.003 * rng.standard_normal(36))
        start = LAWS["hoffmann"].theta(LAW)[None, :]
        result = fit_law(LAWS["hoffmann"], {"N": sizes, "D": data}, noisy, Objective("squares"), start)
        for name, value in result.parameters.items():
            draws[name].append(value)
    law = FittedLaw(LAW, {name: np.array(values) for name, values in draws.items()}, np.zeros(2))
    widths = []
    for flops in (1e21, 1e23, 1e25, 1e27):
        interval = plan_budget(law, flops, lambda size: 6 * size, (1e3, 1e16), seed=0).params.intervals[1]
        widths.append(interval.high / interval.low)
    assert widths[0] < widths[1] < widths[2] < widths[3]


def test_decades_count_on_both_sides() -> None:
    assert extrapolation_decades(1e20, 1e18, 1e16) == pytest.approx(2)
    assert extrapolation_decades(1e15, 1e18, 1e16) == pytest.approx(1)
    assert extrapolation_decades(1e17, 1e18, 1e16) == 0


def test_a_quantity_counts_finite_draws_only() -> None:
    draws = np.concatenate([np.linspace(0, 1, 101), [np.nan, np.inf]])
    assert quantity(0.5, draws).intervals[0].low == pytest.approx(0.1)
    assert quantity(0.5, draws[-10:]).intervals == ()


def test_hardware_converts_both_ways() -> None:
    for device in DEVICES.values():
        assert 1e14 < device.peak_flops < 1e15
        assert "data sheet" in device.source
        hardware = Hardware(device.peak_flops, device.source, 0.5, 4)
        assert hardware.wall_seconds(hardware.flops(8)) == pytest.approx(2 * 3600)
    assert DEVICES["h100-sxm"].peak_flops / DEVICES["a100"].peak_flops == pytest.approx(3.17, abs=0.01)


def test_the_critical_batch_is_kaplan_s() -> None:
    critical = CriticalBatch(2.1e8, 0.21)
    assert float(critical.tokens(3.0)) == pytest.approx(1_122_569.7, rel=1e-6)  # papers.md F6
    chosen = plan()
    recipe = training_recipe(chosen, critical=critical)
    assert recipe.batch_tokens.value == pytest.approx(float(critical.tokens(chosen.loss.value)))
    low, high = recipe.batch_tokens.intervals[1].low, recipe.batch_tokens.intervals[1].high
    assert low < recipe.batch_tokens.value < high


def test_every_draw_has_its_own_batch_and_rate() -> None:
    narrow, wide = (training_recipe(plan(spread=spread)) for spread in (0.001, 0.02))
    for name in ("batch_tokens", "steps", "learning_rate"):
        spreads = [getattr(recipe, name).intervals[1] for recipe in (narrow, wide)]
        assert spreads[1].high - spreads[1].low > 3 * (spreads[0].high - spreads[0].low)
    chosen = plan()
    expected = PUBLISHED_BATCHES["step"](chosen.params.value, chosen.tokens.value, chosen.flops)
    assert training_recipe(chosen).batch_tokens.value == pytest.approx(expected)
    assert training_recipe(chosen, hardware=Hardware(1e15, "given", 1.0, 10)).wall_seconds == pytest.approx(1e5)


def test_tokens_to_reach_inverts_the_law() -> None:
    for size in (1e8, 1e9):
        loss = hoffmann(size, 3e10, **LAW)
        assert float(tokens_to_reach(LAW, loss, size)) == pytest.approx(3e10)
    assert np.isnan(tokens_to_reach(LAW, 1.8, 1e12))


@given(st.floats(19, 25), st.floats(9, 14))
@settings(max_examples=30)
def test_serving_trades_size_for_data_at_fixed_loss(decade: float, served: float) -> None:
    best = closed_form_optimum(LAW, 10**decade)
    loss = float(best.loss)
    none, some = serving_optimum(LAW, loss, 0.0), serving_optimum(LAW, loss, 10**served)
    assert float(none.params) == pytest.approx(float(best.params), rel=1e-3)
    assert float(none.training_flops) == pytest.approx(10**decade, rel=1e-6)
    assert some.params <= none.params * (1 + 1e-6)
    assert hoffmann(some.params, some.tokens, **LAW) == pytest.approx(loss)
    plain = 10**decade + 2 * best.params * 10**served
    assert some.total_flops <= plain * (1 + 1e-9)
    for factor in (0.95, 1.05):
        size = some.params * factor
        other = 6 * size * tokens_to_reach(LAW, loss, size) + 2 * size * 10**served
        assert not other < some.total_flops * (1 - 1e-9)


def test_no_model_reaches_a_loss_below_the_irreducible() -> None:
    assert np.isnan(serving_optimum(LAW, 1.5, 1e12).params)


def test_limited_data_reproduce_the_published_optimum() -> None:
    """Muennighoff et al. 2023: C = 1e22 with 25e9 unique tokens: D = 2.3734e11, N = 7.0224e9."""
    found = data_limited_optimum(MUENNIGHOFF, 1e22, 25e9)
    assert float(found.optimum.tokens) == pytest.approx(2.3734e11, rel=1e-3)
    assert float(found.optimum.params) == pytest.approx(7.0224e9, rel=1e-3)
    assert float(found.unique_tokens) == 25e9
    assert float(found.epochs) == pytest.approx(2.3734e11 / 25e9, rel=1e-3)


@given(st.floats(8, 13), st.floats(19, 24))
@settings(max_examples=30)
def test_limited_data_never_help(unique: float, decade: float) -> None:
    free = closed_form_optimum(LAW, 10**decade)
    found = data_limited_optimum(LAW, 10**decade, 10**unique)
    assert found.unique_tokens <= 10**unique
    assert found.epochs >= 1
    assert found.optimum.loss >= free.loss * (1 - 1e-9)
    if free.tokens < 0.99 * 10**unique:
        assert float(found.optimum.params) == pytest.approx(float(free.params), rel=1e-3)


def test_known_parameters_leave_the_others() -> None:
    law = fix_parameters(LAWS["hoffmann"], {"E": LAW["E"], "alpha": LAW["alpha"]})
    assert law.parameter_names == ("A", "B", "beta")
    assert law.offset is None
    sizes, data = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 4), np.geomspace(1e8, 1e11, 4)))
    result = fit_law(law, {"N": sizes, "D": data}, hoffmann(sizes, data, **LAW), Objective())
    for name in law.parameter_names:
        assert result.parameters[name] == pytest.approx(LAW[name], rel=1e-5)
    assert result.derived["a"] == pytest.approx(LAW["beta"] / (LAW["alpha"] + LAW["beta"]), rel=1e-5)
    assert fix_parameters(LAWS["hoffmann"], {}) is LAWS["hoffmann"]


@pytest.mark.parametrize(
    ("product", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA H100 NVL", None),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA GeForce RTX 4090", None),
    ],
)
def test_devices_are_known_by_what_their_driver_calls_them(product: str, name: str | None) -> None:
    assert device_by_name(product) == (None if name is None else DEVICES[name])

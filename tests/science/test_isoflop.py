"""Approach 2: the published grid biases, refusals, and intervals that cover."""

import numpy as np
import pytest

from scaling_lab.science.backtest import backtest_isoflop
from scaling_lab.science.bootstrap import BootstrapOptions
from scaling_lab.science.isoflop import Profile, TokenCost, fit_isoflop, fit_profile
from scaling_lab.science.isoflop_draws import bootstrap_isoflop
from scaling_lab.science.laws import LAWS, Array, hoffmann
from scaling_lab.science.optimum import closed_form_optimum
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.valley import grid_bias, recentred, with_akima

PRINTED = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
EPOCH = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
BUDGETS = np.array([6e18, 1e19, 3e19, 6e19, 1e20, 3e20, 6e20, 1e21, 3e21])
SIX_N = TokenCost(np.array([1e3, 1e12]), np.array([6e3, 6e12]))


def profiles(law: dict[str, float], factor: float) -> list[Profile]:
    fitted = []
    for flops in BUDGETS:
        best = float(closed_form_optimum(law, flops).params)
        sizes = np.geomspace(best / factor, best * factor, 15)
        fitted.append(fit_profile(flops, sizes, hoffmann(sizes, flops / (6 * sizes), **law), SIX_N))
    return fitted


@pytest.mark.parametrize(
    ("law", "factor", "ratio"),
    [(PRINTED, 2, 1.00328), (PRINTED, 4, 1.01318), (PRINTED, 16, 1.05374), (EPOCH, 4, 0.99608), (EPOCH, 16, 0.98440)],
)
def test_bias_of_a_centred_grid(law: dict[str, float], factor: float, ratio: float) -> None:
    """papers.md F11: the level is biased by a known factor, the exponent is not."""
    fit = fit_isoflop(profiles(law, factor))
    truth = closed_form_optimum(law, BUDGETS).params
    found = np.array([p.vertex.params for p in fit.profiles if p.vertex])
    assert np.mean(found / truth) == pytest.approx(ratio, abs=2e-5)
    assert fit.a == pytest.approx(law["beta"] / (law["alpha"] + law["beta"]), abs=1e-6)
    assert fit.a + fit.b == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("law", "exponent"), [(PRINTED, 0.42593), (EPOCH, 0.47121)])
def test_a_grid_shared_by_all_budgets_biases_the_exponent(law: dict[str, float], exponent: float) -> None:
    sizes = np.geomspace(5e7, 5e9, 15)
    fits = [fit_profile(c, sizes, hoffmann(sizes, c / (6 * sizes), **law), SIX_N) for c in BUDGETS]
    assert fit_isoflop(fits).a == pytest.approx(exponent, abs=1e-5)


def test_vertex_of_an_exact_parabola() -> None:
    sizes = np.geomspace(1e5, 1e7, 5)
    profile = fit_profile(1e15, sizes, 3 + 0.05 * np.log(sizes / 8e5) ** 2, SIX_N)
    assert profile.vertex is not None
    assert profile.tokens is not None
    assert profile.vertex.params == pytest.approx(8e5)
    assert profile.vertex.loss == pytest.approx(3)
    assert profile.vertex.curvature == pytest.approx(0.1)
    assert profile.tokens == pytest.approx(1e15 / (6 * 8e5))
    assert profile.predict(np.array([8e5])) == pytest.approx(3)


def test_token_cost_interpolates_and_extends() -> None:
    cost = TokenCost(np.array([1e4, 1e3, 1e5, 1e4]), np.array([9e4, 2e4, 6e5, 9e4]))
    assert cost(np.array([1e3, 1e4, 1e5])) == pytest.approx([2e4, 9e4, 6e5])
    assert cost(np.sqrt(1e4 * 1e5)) == pytest.approx(np.sqrt(9e4 * 6e5))
    assert cost(1e6) == pytest.approx(4e6)


def curve(kind: str) -> Profile:
    sizes = np.geomspace(1e5, 1e7, 4 if kind == "four" else 6)
    x = np.log(sizes / 1e6)
    losses: dict[str, Array] = {
        "inverted": 3 - 0.05 * x**2,
        "edge": 3 + 0.01 * (x - 5) ** 2,
        "one side": 3 + 0.05 * (x - 2) ** 2,
        "four": 3 + 0.05 * x**2,
        "lopsided": 3 + 0.05 * x**2 + 0.008 * x**3,
    }
    return fit_profile(1e15, sizes, losses[kind], SIX_N)


@pytest.mark.parametrize(
    ("kind", "code"), [("inverted", RefusalCode.INVERTED_PARABOLA), ("edge", RefusalCode.EDGE_OPTIMUM)]
)
def test_refused_vertices(kind: str, code: RefusalCode) -> None:
    profile = curve(kind)
    assert profile.vertex is None
    assert profile.tokens is None
    assert profile.refusal is not None
    assert profile.refusal.code is code
    with pytest.raises(FitRefusedError) as caught:
        fit_isoflop([profile] * 3)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("kind", "warning"), [("one side", "fewer than two sizes"), ("four", "4 sizes"), ("lopsided", "a cubic moves")]
)
def test_warned_vertices(kind: str, warning: str) -> None:
    profile = curve(kind)
    assert profile.vertex is not None
    assert any(warning in note for note in profile.warnings)


def test_three_sizes_and_two_budgets_are_too_few() -> None:
    sizes = np.array([1e5, 1e6, 1e7])
    profile = fit_profile(1e15, sizes, np.array([3.2, 3.0, 3.3]), SIX_N)
    assert profile.refusal is not None
    assert profile.refusal.code is RefusalCode.TOO_FEW_POINTS
    with pytest.raises(FitRefusedError) as caught:
        fit_isoflop([curve("four"), curve("four"), profile])
    assert caught.value.code is RefusalCode.TOO_FEW_POINTS


def small_study(rng: np.random.Generator, noise: float) -> list[Profile]:
    """Four budgets of five sizes, as small as a study gets; centred, so that the truth is the parabola's."""
    law = {"E": 1.2, "A": 12.0, "B": 60.0, "alpha": 0.25, "beta": 0.28}
    fitted = []
    for flops in np.geomspace(1e10, 1e12, 4):
        best = float(closed_form_optimum(law, flops).params)
        sizes = best * np.geomspace(1 / 6, 6, 5)
        loss = hoffmann(sizes, flops / (6 * sizes), **law) * np.exp(noise * rng.standard_normal(5))
        fitted.append(fit_profile(flops, sizes, loss, SIX_N))
    return fitted


def test_intervals_of_a_small_study_cover() -> None:
    rng, covered, used = np.random.default_rng(0), 0, 0
    for seed in range(120):
        try:
            fit = fit_isoflop(small_study(rng, 0.004))
        except FitRefusedError:
            continue
        interval = bootstrap_isoflop(fit, SIX_N, BootstrapOptions(200, seed=seed)).interval("a", 0.9)
        assert interval is not None
        used += 1
        covered += interval.low <= 0.28 / 0.53 <= interval.high
    assert used > 115
    assert 0.82 <= covered / used <= 0.97


def test_draws_repeat_and_report_failures() -> None:
    fit = fit_isoflop(small_study(np.random.default_rng(1), 0.004))
    first, second = (bootstrap_isoflop(fit, SIX_N, BootstrapOptions(100, seed=5)) for _ in range(2))
    assert np.array_equal(first.values["a"], second.values["a"])
    assert first.count + sum(first.failed.values()) == first.resamples == 100
    noisy = bootstrap_isoflop(fit, SIX_N, BootstrapOptions(100, seed=5, noise=0.5))
    assert noisy.count < 100
    assert noisy.failed["fewer_than_two_vertices"] == 100 - noisy.count


@pytest.mark.parametrize(("law", "factor", "ratio"), [(PRINTED, 4, 1.01318), (EPOCH, 16, 0.98440)])
def test_the_bias_of_a_grid_is_estimated_from_a_surface(law: dict[str, float], factor: float, ratio: float) -> None:
    """papers.md F11 again, this time by the function that a user calls."""
    bias = grid_bias(profiles(law, factor), LAWS["hoffmann"], law, SIX_N)
    assert np.mean(bias.ratio) == pytest.approx(ratio, abs=2e-5)
    assert bias.exponent_shift == pytest.approx(0, abs=1e-6)


def test_the_bias_of_a_shared_grid_is_in_the_exponent() -> None:
    sizes = np.geomspace(5e7, 5e9, 15)
    fits = [fit_profile(c, sizes, hoffmann(sizes, c / (6 * sizes), **PRINTED), SIX_N) for c in BUDGETS]
    bias = grid_bias(fits, LAWS["hoffmann"], PRINTED, SIX_N)
    assert bias.exponent_found == pytest.approx(0.42593, abs=1e-5)
    assert bias.exponent_shift == pytest.approx(0.42593 - 0.45161, abs=2e-4)
    akima = grid_bias([with_akima(p, SIX_N) for p in fits], LAWS["hoffmann"], PRINTED, SIX_N)
    assert abs(akima.exponent_shift) < 0.004


def test_akima_and_a_recentred_parabola_are_less_biased() -> None:
    truth = closed_form_optimum(PRINTED, BUDGETS).params
    wide = profiles(PRINTED, 16)
    by_akima = fit_isoflop([with_akima(p, SIX_N) for p in wide])
    narrow = fit_isoflop([recentred(p, SIX_N, 4) for p in wide])
    for fit, bound in ((by_akima, 0.01), (narrow, 0.02)):
        found = np.array([p.vertex.params for p in fit.accepted if p.vertex])
        assert abs(np.mean(found / truth) - 1) < bound
        assert fit.a == pytest.approx(0.451613, abs=2e-3)
    assert all(len(p.params) == 7 for p in narrow.profiles)
    assert all(p.method == "akima" for p in by_akima.profiles)


def test_akima_refuses_an_edge_and_few_sizes() -> None:
    edge = with_akima(curve("edge"), SIX_N)
    assert edge.refusal is not None
    assert edge.refusal.code is RefusalCode.EDGE_OPTIMUM
    sizes = np.array([1e5, 1e6, 1e7])
    few = with_akima(fit_profile(1e15, sizes, np.array([3.2, 3.0, 3.3]), SIX_N), SIX_N)
    assert few.refusal is not None
    assert few.refusal.code is RefusalCode.TOO_FEW_POINTS
    assert recentred(edge, SIX_N) is edge
    assert recentred(curve("four"), SIX_N, 1.5).params.tolist() == curve("four").params.tolist()


def test_akima_averages_seeds() -> None:
    sizes = np.repeat(np.geomspace(1e5, 1e7, 7), 2)
    loss = 3 + 0.05 * np.log(sizes / 8e5) ** 2 + np.tile([0.002, -0.002], 7)
    profile = with_akima(fit_profile(1e15, sizes, loss, SIX_N), SIX_N)
    assert profile.vertex is not None
    assert profile.vertex.params == pytest.approx(8e5, rel=0.02)
    fit = fit_isoflop([profile] * 3)
    assert bootstrap_isoflop(fit, SIX_N, BootstrapOptions(50)).resamples == 50


def test_a_flat_valley_is_refused() -> None:
    sizes = np.geomspace(1e5, 1e7, 7)
    loss = 3 + 1e-5 * np.log(sizes / 1e6) ** 2 + 0.01 * np.array([1, -1, 1, -1, 1, -1, 1])
    flat = fit_profile(1e15, sizes, loss, SIX_N)
    assert flat.refusal is not None
    assert flat.refusal.code in {RefusalCode.NO_CURVATURE, RefusalCode.INVERTED_PARABOLA}


def test_backtest_of_the_largest_budget() -> None:
    fitted = small_study(np.random.default_rng(1), 0.001)
    prediction = backtest_isoflop(fitted, SIX_N, BootstrapOptions(200))
    assert prediction.held_out.tolist() == [3]
    assert prediction.low[0] < prediction.predicted[0] < prediction.high[0]
    assert prediction.predicted[0] == pytest.approx(prediction.measured[0], rel=0.2)
    with pytest.raises(FitRefusedError):
        backtest_isoflop(fitted[:3], SIX_N, BootstrapOptions(50))

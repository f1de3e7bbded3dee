"""Approaches 1 and 2 where losses depart from their law: what is decided at a budget, and intervals that hold it."""

import numpy as np
import pytest
from tests.science.simulated import SIX_N

from scaling_lab.science import curve_envelope
from scaling_lab.science.allocation import Frontier, Question, law_frontier
from scaling_lab.science.approaches import ApproachOptions, budget_profiles, compare_approaches
from scaling_lab.science.bootstrap import BootstrapOptions
from scaling_lab.science.curve_envelope import Curve, bootstrap_curve_envelope
from scaling_lab.science.departed_line import bends_of, best_on_line
from scaling_lab.science.departure import departed, field_numbers, law_of_draws
from scaling_lab.science.isoflop import fit_isoflop
from scaling_lab.science.isoflop_draws import bootstrap_isoflop
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.optimum import closed_form_optimum, numerical_optimum
from scaling_lab.science.runs import Runs

LAW, SPAN = LAWS["hoffmann"], (1e10, 1e12)
SURFACE = {"E": 1.2, "A": 12.0, "B": 60.0, "alpha": 0.25, "beta": 0.28}
SIZES = (1e1, 1e9)
NOISE = 0.003
QUESTION = Question(np.array([1e13]), lambda params: 6 * params, SIZES)
FIELD = 10_000  # seeds of planted fields: others than those of the bootstraps


def planted(departure: float, study: int) -> dict[str, Array]:
    return {**SURFACE, "departure": np.array(departure), "field": field_numbers(1, FIELD + study)}


def truth_of(departure: float, study: int) -> Frontier:
    """Slopes of the law itself, N* of the surface that departs from it."""
    return law_frontier(
        LAW, {name: np.ravel(value)[0] for name, value in planted(departure, study).items()}, SPAN, QUESTION
    )


def isoflop_runs(departure: float, study: int, noise: float = NOISE) -> Runs:
    flops = np.geomspace(*SPAN, 5).repeat(7)
    params = closed_form_optimum(SURFACE, flops).params * np.tile(np.geomspace(1 / 4, 4, 7), 5)
    tokens = flops / (6 * params)
    loss = departed(LAW).predict(planted(departure, study), {"N": params, "D": tokens})
    return Runs(params, tokens, flops, loss * np.exp(noise * np.random.default_rng(study).standard_normal(35)))


def horizons(departure: float, study: int) -> list[Curve]:
    """Fifteen sizes, centred on the best of fifteen budgets, at up to five horizons spanning 16 times."""
    rng, curves = np.random.default_rng(study), []
    for budget in np.geomspace(SPAN[0] / 4, 4 * SPAN[1], 15):
        params = float(closed_form_optimum(SURFACE, budget).params)
        for end in budget * np.geomspace(1 / 4, 4, 5):
            if not SPAN[0] <= end <= 1.001 * SPAN[1]:
                continue
            flops = end * np.geomspace(0.02, 1, 60)
            runs = {"N": np.full(60, params), "D": flops / (6 * params)}
            late = 1 + 0.06 * np.clip((1 - flops / end) / 0.2, 0, 1)
            loss = departed(LAW).predict(planted(departure, study), runs) * late
            loss = loss * np.exp(NOISE * rng.standard_normal())
            curves.append(Curve(params, flops, runs["D"], loss, flops / end))
    return curves


def ends_of(curves: list[Curve]) -> Runs:
    return Runs(*np.array([(c.params, c.tokens[-1], c.flops[-1], c.loss[-1]) for c in curves]).T)


class TestBestOnLine:
    def test_an_estimate_and_draws_of_an_exact_law_lie_on_the_power_law(self) -> None:
        draws = {"a": np.array([0.4, 0.5]), "params_coefficient": np.array([0.1, 0.2])}
        found = best_on_line(draws, np.array([1e12, 1e14]), QUESTION.cost, SIZES)
        assert found == pytest.approx(np.array([[0.1 * 1e12**0.4, 0.1 * 1e14**0.4], [0.2e6, 0.2e7]]))
        assert best_on_line({"a": 0.5, "params_coefficient": 0.2}, 1e12, QUESTION.cost, SIZES) == pytest.approx(0.2e6)

    def test_a_departure_moves_it_as_it_moves_the_joint_law_through_the_same_minima(self) -> None:
        count, flops = 50, 1e12
        exact = closed_form_optimum(SURFACE, np.array([1e11, flops])).params
        a = float(np.log(exact[1] / exact[0]) / np.log(10))
        own = {name: np.full(count, value) for name, value in SURFACE.items()}
        drawn = {"departure": np.full(count, 0.003), "field": field_numbers(count, 1)}
        bends = bends_of(budget_profiles(isoflop_runs(0.0, 0, noise=0.0), SIX_N))
        line = {"a": a, "params_coefficient": exact[1] / flops**a} | bends
        on_valley = drawn | {name: np.full(count, value) for name, value in line.items()}
        on_line = np.log(best_on_line(on_valley, np.array([flops]), QUESTION.cost, SIZES)[:, 0] / exact[1])
        law = law_of_draws(LAW, own | drawn)
        of_law = numerical_optimum(own | drawn, flops, QUESTION.cost, SIZES, law.function).params / exact[1]
        assert np.std(on_line) > 0.02
        assert np.corrcoef(on_line, np.log(of_law))[0, 1] > 0.99
        assert np.std(on_line) == pytest.approx(np.std(np.log(of_law)), rel=0.15)

    def test_valleys_that_open_downwards_have_no_bend(self) -> None:
        runs = isoflop_runs(0.0, 0, noise=0.0)
        hills = Runs(runs.params, runs.tokens, runs.flops, 1 / runs.loss)
        assert bends_of(budget_profiles(hills, SIX_N)) == {}


class TestIsoflopDraws:
    def test_without_a_departure_nothing_changes(self) -> None:
        fit = fit_isoflop(budget_profiles(isoflop_runs(0.01, 3), SIX_N))
        exact, barely, departing = (
            bootstrap_isoflop(fit, SIX_N, BootstrapOptions(100, departure=stated)) for stated in (0.0, 1e-9, 0.01)
        )
        assert exact.departure is None
        assert set(departing.values) - set(exact.values) == {"departure", "field", "bend_coefficient", "bend_exponent"}
        assert barely.values["a"] == pytest.approx(exact.values["a"], abs=1e-6)
        assert np.std(departing.values["a"]) > 1.5 * np.std(exact.values["a"])

    def test_minima_that_scatter_about_their_power_law_show_a_departure(self) -> None:
        believed = []
        for departure in (0.0, 0.02):
            fits = [fit_isoflop(budget_profiles(isoflop_runs(departure, study), SIX_N)) for study in range(5)]
            draws = [bootstrap_isoflop(fit, SIX_N, BootstrapOptions(20, departure=0.005)) for fit in fits]
            believed.append(np.median([known.departure.quantile(0.5) for known in draws if known.departure]))
        assert believed[0] < 0.005 < 0.0065 < believed[1]


class TestCurveEnvelope:
    def test_without_a_departure_nothing_changes(self) -> None:
        curves = horizons(0.0, 0)
        exact, barely, departing = (
            bootstrap_curve_envelope(curves, BootstrapOptions(40, departure=stated), 0.0) for stated in (0.0, 1e-9, 0.1)
        )
        assert set(departing.values) - set(exact.values) == {"departure", "field"}
        assert barely.values["a"] == pytest.approx(exact.values["a"], abs=1e-6)
        assert np.std(departing.values["a"]) > 1.5 * np.std(exact.values["a"])

    def test_a_departure_is_smooth_between_the_points_where_it_is_evaluated(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        curves, options = horizons(0.0, 0), BootstrapOptions(10, departure=0.03)
        coarse = bootstrap_curve_envelope(curves, options, 0.0).values["a"]
        monkeypatch.setattr(curve_envelope, "_EVERY", 1)
        assert coarse == pytest.approx(bootstrap_curve_envelope(curves, options, 0.0).values["a"], abs=0.01)


@pytest.mark.parametrize(("approach", "departure", "studies"), [("isoflop_parabola", 0.01, 40), ("envelope", 0.05, 20)])
def test_intervals_hold_the_exponent_and_the_best_size_where_losses_depart(
    approach: str, departure: float, studies: int
) -> None:
    """The quick form of benchmarks/coverage: more studies, laws and departures are measured there."""
    held = {kind: np.zeros(2, dtype=int) for kind in ("interval", "interval_departed")}
    for study in range(studies):
        curves = horizons(departure, study) if approach == "envelope" else None
        runs = ends_of(curves) if curves else isoflop_runs(departure, study)
        resampling = BootstrapOptions(80, seed=study, departure=departure)
        profiles = [] if curves else budget_profiles(runs, SIX_N)
        found = compare_approaches(
            runs, QUESTION, profiles, SIX_N, ApproachOptions(resampling=resampling, smoothing=0.0), curves, (approach,)
        ).allocations[approach]
        truth = truth_of(departure, study)
        for kind, count in held.items():
            known = [getattr(value, kind) for value in (found.exponents["a"], found.optima[0]["params"])]
            count += [one.low <= true <= one.high for one, true in zip(known, (truth.a, truth.params[0]), strict=True)]
    assert held["interval"][1] <= 0.7 * studies
    assert min(held["interval_departed"]) >= 0.8 * studies

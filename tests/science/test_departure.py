"""The departure from a law: one field everywhere, its size found in residuals, intervals that hold where it is real."""

import numpy as np
import pytest

from scaling_lab.science.bootstrap import BootstrapOptions, bootstrap_law, predictive_draws
from scaling_lab.science.departure import (
    LENGTH,
    correlation,
    departed,
    departure_size,
    field_numbers,
    field_values,
    law_of_draws,
)
from scaling_lab.science.design import Noise, Target
from scaling_lab.science.design_grids import Frontier, log_spaced
from scaling_lab.science.design_prior import published_prior
from scaling_lab.science.design_trials import simulate_studies
from scaling_lab.science.fitting import FitResult
from scaling_lab.science.laws import LAWS
from scaling_lab.science.projection import fit_projected

LAW = LAWS["hoffmann"]
TRUTH = {"E": 1.8, "A": 480.0, "B": 2080.0, "alpha": 0.35, "beta": 0.37}
N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 8), np.geomspace(1e8, 1e11, 8)))
LOGS = (np.log(N), np.log(D))


def study(departure: float, noise: float, seed: int) -> FitResult:
    """A fit of 64 runs whose losses depart from the law by field number `seed`."""
    shift = departure * field_values(field_numbers(1, seed), LOGS)
    errors = noise * np.random.default_rng(seed).standard_normal(len(N))
    return fit_projected(LAW, {"N": N, "D": D}, LAW.predict(TRUTH, {"N": N, "D": D}) * np.exp(shift + errors))


def believed(fit: FitResult, stated: float):
    jacobian = LAW.log_prediction(fit.theta[None, :], {"N": LOGS[0], "D": LOGS[1]})[1][0].T
    return departure_size(fit.residuals, jacobian, np.column_stack(LOGS), stated)


class TestFields:
    def test_have_the_covariance_of_the_designer(self):
        places = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, LENGTH], [2.0, 2.0], [9.0, 0.0]])
        values = field_values(field_numbers(20_000, 1)[:, None], places.T)
        assert np.abs(values.T @ values / len(values) - correlation(places, places)).max() < 0.03

    def test_are_nearly_gaussian(self):
        values = field_values(field_numbers(20_000, 2), (np.array(3.0),))
        assert np.mean(values**4) / np.mean(values**2) ** 2 == pytest.approx(3, abs=0.2)

    def test_are_known_by_their_number_alone(self):
        many = field_values(field_numbers(50, 7)[:, None], LOGS)
        alone = field_values(field_numbers(50, 7)[31], LOGS)
        assert alone == pytest.approx(many[31])
        assert not np.allclose(field_values(field_numbers(50, 8)[31], LOGS), alone)

    def test_a_departed_law_is_the_law_where_the_departure_is_zero(self):
        drawn = TRUTH | {"departure": 0.0, "field": 3.0}
        assert departed(LAW).predict(drawn, {"N": N, "D": D}) == pytest.approx(LAW.predict(TRUTH, {"N": N, "D": D}))

    def test_a_departed_law_takes_its_field_off(self):
        number = field_numbers(4, 0)[3]
        drawn = TRUTH | {"departure": 0.01, "field": number}
        shift = np.log(departed(LAW).predict(drawn, {"N": N, "D": D}) / LAW.predict(TRUTH, {"N": N, "D": D}))
        assert shift == pytest.approx(-0.01 * field_values(number, LOGS))


class TestSize:
    @pytest.mark.parametrize("stated", [0.01, 0.02, 0.04])
    def test_runs_correct_what_was_stated(self, stated):
        medians = [believed(study(0.02, 0.003, seed), stated).quantile(0.5) for seed in range(8)]
        assert 0.014 < np.median(medians) < 0.028

    def test_a_law_that_holds_leaves_less_than_was_stated(self):
        found = believed(study(0.0, 0.003, 0), 0.01)
        assert found.quantile(0.5) < 0.005

    def test_runs_that_only_just_determine_the_law_leave_what_was_stated(self):
        few = np.arange(0, 64, 11)
        jacobian = LAW.log_prediction(LAW.theta(TRUTH)[None, :], {"N": LOGS[0][few], "D": LOGS[1][few]})[1][0].T
        places = np.column_stack(LOGS)[few]
        found = departure_size(1e-3 * np.random.default_rng(0).standard_normal(len(few)), jacobian, places, 0.01)
        assert 0.004 < found.quantile(0.5) < 0.025
        assert found.quantile(0.95) / found.quantile(0.05) > 4

    def test_many_runs_are_thinned(self):
        rng = np.random.default_rng(0)
        places = rng.uniform(0, 7, (5000, 2))
        found = departure_size(0.01 * rng.standard_normal(5000), np.ones((5000, 1)), places, 0.01)
        assert found.quantile(0.5) < 0.006


class TestBootstrap:
    def test_without_a_departure_nothing_changes(self):
        fit = study(0.01, 0.003, 0)
        exact, departing = (bootstrap_law(fit, BootstrapOptions(40, starts=1, departure=s)) for s in (0.0, 0.01))
        assert set(departing.values) - set(exact.values) == {"departure", "field"}
        assert exact.departure is None
        assert law_of_draws(LAW, exact.values) is LAW
        ratio = np.std(departing.values["alpha"]) / np.std(exact.values["alpha"])
        assert 1.5 < ratio < 20

    def test_far_from_every_run_a_prediction_departs_by_all_of_it(self):
        fit = study(0.02, 0.001, 1)
        draws = bootstrap_law(fit, BootstrapOptions(300, starts=1, departure=0.02))
        size = draws.departure.quantile(0.5)
        at = {"N": np.array([N.mean(), 1e3 * N.max()]), "D": np.array([D.mean(), 1e3 * D.max()])}
        known, beyond = np.std(np.log(predictive_draws(fit, draws, at, 0, noise=0.0)), axis=0)
        assert known < beyond
        assert beyond > 0.7 * size


def test_intervals_hold_the_best_size_of_losses_that_depart_from_their_law():
    """The quick form of benchmarks/design: 100 studies of every grid are measured there."""
    target = Target(1e21, lambda params: 6 * params, (1e2, 1e16))
    prior = published_prior(1e19 / 30, target.cost, target.params_range, 25, 2)
    cells = log_spaced(Frontier(prior, target, 1e12), target, 1e19, 6, 5)
    studies = simulate_studies(prior, target, cells, Noise(0.002, 0.008), 3)
    held = {0.0: 0, 0.008: 0}
    for losses, truth in zip(studies.losses, studies.log_best, strict=True):
        fit = fit_projected(LAW, {"N": cells.params, "D": cells.tokens}, losses)
        for stated in held:
            values = bootstrap_law(fit, BootstrapOptions(60, starts=1, departure=stated)).values
            law = law_of_draws(LAW, values)
            drawn = target.best(law, {name: values[name] for name in law.parameter_names})
            low, high = np.quantile(drawn, [0.05, 0.95])
            held[stated] += int(low <= truth <= high)
    assert held[0.0] < 18
    assert held[0.008] >= 21

"""The designer's beliefs, choices and trials, on planted laws."""

import numpy as np
import pytest

from scaling_lab.science.bootstrap import BootstrapOptions, bootstrap_law
from scaling_lab.science.design import (
    Beliefs,
    Cells,
    Noise,
    Target,
    choose_cells,
    decision_gradient,
    departure_of_best,
    posterior_beliefs,
    prior_beliefs,
)
from scaling_lab.science.design_grids import Frontier, isoflop_profiles, lattice, log_spaced
from scaling_lab.science.design_prior import LawPrior, fitted_prior, published_prior
from scaling_lab.science.design_trials import simulate_studies, try_grid, wasted_percent
from scaling_lab.science.laws import LAWS
from scaling_lab.science.optimum import closed_form_optimum
from scaling_lab.science.planner import FittedLaw
from scaling_lab.science.projection import fit_projected
from scaling_lab.science.published import PUBLISHED

BUDGET = 1e19
TARGET = Target(1e21, lambda params: 6 * params, (1e3, 1e15))
PRIOR = published_prior(BUDGET / 30, TARGET.cost, TARGET.params_range, 16, 0)
FRONTIER = Frontier(PRIOR, TARGET, 1e-7 * BUDGET)


def planted(names=("hoffmann_tex", "besiroglu")):
    columns = {
        key: np.array([PUBLISHED[name].values[key] for name in names]) for key in ("E", "A", "B", "alpha", "beta")
    }
    return LawPrior(LAWS["hoffmann"], columns, "published")


class TestPrior:
    def test_anchors_tokens_per_parameter_and_irreducible_share(self):
        prior = published_prior(1e18, TARGET.cost, TARGET.params_range, 400, 1)
        best = closed_form_optimum(prior.parameters, 1e18)
        assert np.exp(np.median(np.log(best.tokens / best.params))) == pytest.approx(20, rel=0.15)
        share = prior.parameters["E"] / best.loss
        assert share.min() > 0.34
        assert share.max() < 0.86

    def test_fits_of_two_laws_make_no_prior(self):
        draws = {name: np.ones(3) for name in LAWS["hoffmann"].parameter_names}
        hoffmann = FittedLaw(dict.fromkeys(draws, 1.0), draws, np.zeros(3))
        kaplan = FittedLaw({}, {}, np.zeros(3), LAWS["kaplan"])
        with pytest.raises(ValueError, match=r"hoffmann and kaplan"):
            fitted_prior([hoffmann, kaplan], 4, 0, "")

    def test_draws_of_a_fit_are_its_own(self):
        draws = {name: np.arange(1.0, 4.0) for name in LAWS["hoffmann"].parameter_names}
        prior = fitted_prior([FittedLaw({}, draws, np.zeros(3))], 50, 0, "")
        assert set(prior.parameters["E"]) <= {1.0, 2.0, 3.0}
        assert np.array_equal(prior.parameters["E"], prior.parameters["beta"])


class TestBeliefs:
    def test_gradient_is_that_of_the_closed_form(self):
        prior, step = planted(), 1e-5
        gradient = decision_gradient(prior, TARGET)
        for j in range(5):
            up, down = (
                np.log(closed_form_optimum(prior.law.natural(prior.theta + s * np.eye(5)[j]), TARGET.flops).params)
                for s in (step, -step)
            )
            assert gradient[:, j] == pytest.approx((up - down) / (2 * step), abs=2e-4, rel=2e-4)

    def test_observing_is_conditioning_of_a_gaussian(self):
        rng = np.random.default_rng(0)
        root = rng.standard_normal((5, 5))
        joint = root @ root.T
        beliefs = Beliefs(joint[None, 0, 0], joint[None, 0, 1:], joint[None, 1:, 1:], 0.3)
        for cell in (2, 0):
            beliefs.observe(cell)
        seen, noise = [3, 1], 0.3 * np.eye(2)
        left = joint - joint[:, seen] @ np.linalg.solve(joint[np.ix_(seen, seen)] + noise, joint[seen])
        assert beliefs.decision[0] == pytest.approx(left[0, 0])
        assert beliefs.losses[0] == pytest.approx(left[1:, 1:])

    def test_predicted_width_is_what_fits_scatter_by(self):
        prior, cells, noise = planted(("besiroglu",)), log_spaced(FRONTIER, TARGET, BUDGET), Noise(0.004, 0.0)
        beliefs = prior_beliefs(prior, TARGET, cells, noise)
        for cell in range(len(cells)):
            beliefs.observe(cell)
        many = LawPrior(prior.law, {k: np.repeat(v, 200) for k, v in prior.parameters.items()}, "")
        scatter = np.std(try_grid(many, TARGET, cells, noise, 3).log_errors)
        assert np.sqrt(beliefs.decision[0]) == pytest.approx(scatter, rel=0.25)

    def test_departure_moves_the_best_size_to_where_the_planted_loss_is_least(self):
        prior, amount = planted(("besiroglu",)), 1e-3
        best = target_best = TARGET.best(prior.law, prior.parameters)
        slope = amount  # of log loss per log N along the budget
        grid = target_best + np.linspace(-0.5, 0.5, 4001)
        profile = (
            TARGET.log_loss(prior.law, {k: v[:, None] for k, v in prior.parameters.items()}, grid)[0] + slope * grid
        )
        shift = grid[np.argmin(profile)] - best[0]
        assert shift == pytest.approx(-slope / TARGET.curvature(prior.law, prior.parameters, best)[0], rel=0.1)

    def test_cells_at_the_target_know_more_of_its_departure_than_cells_far_off(self):
        best = np.exp(TARGET.best(PRIOR.law, PRIOR.parameters)[:1])
        one = LawPrior(PRIOR.law, {k: v[:1] for k, v in PRIOR.parameters.items()}, "")
        tokens = TARGET.flops / TARGET.cost(best)
        near = Cells(best * 2, tokens / 2, 6 * best * tokens).places
        far = Cells(best / 100, tokens / 100, best * tokens).places
        _, known = departure_of_best(one, TARGET, np.vstack([near, far]), Noise())
        assert abs(known[0, 0]) > 100 * abs(known[0, 1])


class TestChoice:
    @pytest.mark.parametrize("money", [BUDGET, BUDGET / 7, BUDGET / 100])
    def test_never_exceeds_the_budget_nor_the_runs(self, money):
        cells = lattice(FRONTIER, TARGET, BUDGET / 8)
        chosen = choose_cells(prior_beliefs(PRIOR, TARGET, cells, Noise()), cells.flops, money, 20)
        assert cells.flops[chosen.cells].sum() <= money
        assert len(chosen.cells) == len(set(chosen.cells)) <= 20

    def test_half_the_money_decides_better_than_the_grids_drawn_by_hand(self):
        cells, noise = lattice(FRONTIER, TARGET, BUDGET / 16), Noise(misfit=0.004)
        chosen = choose_cells(prior_beliefs(PRIOR, TARGET, cells, noise), cells.flops, BUDGET / 2, 42)
        judges = published_prior(BUDGET / 30, TARGET.cost, TARGET.params_range, 200, 9)
        ours = try_grid(judges, TARGET, cells.take(chosen.cells), noise, 4)
        for grid in (log_spaced, isoflop_profiles):
            theirs = try_grid(judges, TARGET, grid(FRONTIER, TARGET, BUDGET), noise, 4)
            assert np.nanstd(ours.log_errors) < np.nanstd(theirs.log_errors)

    def test_nothing_is_chosen_where_nothing_is_affordable(self):
        cells = lattice(FRONTIER, TARGET, BUDGET / 8)
        chosen = choose_cells(prior_beliefs(PRIOR, TARGET, cells, Noise()), cells.flops, 1.0)
        assert chosen.cells == []


class TestGrids:
    @pytest.mark.parametrize("grid", [log_spaced, isoflop_profiles])
    def test_costs_its_budget(self, grid):
        assert grid(FRONTIER, TARGET, BUDGET).flops.sum() == pytest.approx(BUDGET)

    def test_lattice_keeps_near_the_frontier_and_below_the_dearest(self):
        cells = lattice(FRONTIER, TARGET, BUDGET / 8)
        off = np.abs(np.log(cells.params / FRONTIER.params(cells.flops)))
        assert off.max() <= np.log(8) + 1e-9
        assert cells.flops.max() <= BUDGET / 8
        assert cells.flops.min() >= BUDGET / 8e3


class TestTrials:
    def test_without_noise_every_decision_is_right(self):
        trials = try_grid(PRIOR, TARGET, log_spaced(FRONTIER, TARGET, BUDGET), Noise(1e-7, 0.0), 0)
        assert trials.refused == 0
        assert trials.factor() == pytest.approx(1.0, abs=0.01)
        assert trials.mean_wasted_percent < 0.01

    def test_a_departure_moves_the_truth_that_decisions_are_held_against(self):
        cells = log_spaced(FRONTIER, TARGET, BUDGET)
        studies = simulate_studies(PRIOR, TARGET, cells, Noise(1e-7, 0.004), 0)
        assert np.std(studies.shift) > 0.02
        assert studies.log_best - studies.shift == pytest.approx(TARGET.best(PRIOR.law, PRIOR.parameters))

    def test_wasted_compute_of_twice_the_best_size(self):
        prior = planted(("besiroglu",))
        best = TARGET.best(prior.law, prior.parameters)
        at_double = wasted_percent(prior, TARGET, best + np.log(2))[0]
        loss = float(np.exp(TARGET.log_loss(prior.law, prior.parameters, best + np.log(2)))[0])
        enough = float(closed_form_optimum(prior.one(0), TARGET.flops / (1 + at_double / 100)).loss)
        assert loss == pytest.approx(enough, rel=1e-4)


def test_posterior_of_a_fit_shrinks_most_by_the_runs_it_proposes():
    law, cells = LAWS["hoffmann"], log_spaced(FRONTIER, TARGET, BUDGET, 5, 4)
    truth = PUBLISHED["besiroglu"].values
    noisy = np.exp(0.004 * np.random.default_rng(0).standard_normal(len(cells)))
    fit = fit_projected(
        law, {"N": cells.params, "D": cells.tokens}, law.predict(truth, {"N": cells.params, "D": cells.tokens}) * noisy
    )
    draws = bootstrap_law(fit, BootstrapOptions(100, starts=1)).values
    posterior = LawPrior(law, {name: draws[name] for name in law.parameter_names}, "")
    estimate = LawPrior(law, {name: np.array([value]) for name, value in fit.parameters.items()}, "")
    more = lattice(FRONTIER, TARGET, BUDGET)
    beliefs = posterior_beliefs(posterior, estimate, TARGET, cells.places, more, Noise(misfit=0.004))
    before = float(beliefs.decision[0])
    choice = choose_cells(beliefs, more.flops, BUDGET, 6)
    assert choice.variance < 0.6 * before
    assert before * np.exp(-sum(choice.gains)) == pytest.approx(choice.variance)

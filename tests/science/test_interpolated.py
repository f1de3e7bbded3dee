"""Profiles read off runs of other costs: the planted minimum, nothing beyond what was trained, seeds averaged."""

import numpy as np
import pytest
from tests.science.simulated import EPOCH, SIX_N

from scaling_lab.science.interpolated import interpolated_profiles, reachable_budgets
from scaling_lab.science.isoflop import fit_isoflop
from scaling_lab.science.laws import Array, hoffmann
from scaling_lab.science.optimum import closed_form_optimum
from scaling_lab.science.runs import Runs


def horizons(sizes: Array, tokens: Array) -> Runs:
    n, d = (grid.ravel() for grid in np.meshgrid(sizes, tokens, indexing="ij"))
    return Runs(n, d, 6 * n * d, np.asarray(hoffmann(n, d, **EPOCH)))


def test_horizons_read_as_profiles_have_the_planted_minima() -> None:
    runs = horizons(np.geomspace(1e8, 4e9, 14), np.geomspace(1e9, 2e11, 12))
    budgets = np.geomspace(1e19, 3e20, 6)
    fit = fit_isoflop(interpolated_profiles(runs, budgets, SIX_N))
    assert len(fit.accepted) == 6
    assert fit.a == pytest.approx(0.5126, abs=0.04)
    for profile in fit.accepted:
        assert profile.vertex is not None
        true = float(closed_form_optimum(EPOCH, profile.flops).params)
        assert profile.vertex.params == pytest.approx(true, rel=0.15)


def test_nothing_is_read_beyond_the_runs_of_a_size() -> None:
    runs = horizons(np.geomspace(1e8, 1.6e9, 5), np.array([1e10, 1e11]))
    assert interpolated_profiles(runs, np.array([1e17, 1e25]), SIX_N) == []
    # 6e19 FLOPs: 1e8 parameters end there, and the largest begin above.
    (edge,) = interpolated_profiles(runs, np.array([5.9e19]), SIX_N)
    assert edge.params.tolist() == pytest.approx([1e8, 2e8, 4e8, 8e8])


def test_budgets_are_those_that_four_sizes_reach() -> None:
    runs = horizons(np.geomspace(1e8, 1.6e9, 5), np.array([1e10, 1e11]))
    budgets = reachable_budgets(runs, 5)
    assert len(budgets) == 5
    assert 4.5e19 < budgets[0] < budgets[-1] < 1.3e20
    assert all(len(p.params) >= 4 for p in interpolated_profiles(runs, budgets, SIX_N))
    assert len(reachable_budgets(horizons(np.array([1e8, 1e9]), np.array([1e10, 1e11])), 5)) == 0


def test_seeds_of_a_cell_are_averaged() -> None:
    one = horizons(np.geomspace(1e8, 8e8, 4), np.array([1e10, 1e11]))
    twice = Runs(*(np.concatenate([values, values]) for values in (one.params, one.tokens, one.flops)),
                 np.concatenate([one.loss * 1.01, one.loss / 1.01]))  # fmt: skip
    (single,), (double,) = (interpolated_profiles(runs, np.array([5.5e19]), SIX_N) for runs in (one, twice))
    assert double.loss == pytest.approx(single.loss, rel=1e-9)

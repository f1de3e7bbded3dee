"""Sizes that a grid lacks: beyond the edge that a minimum lies at, two on each side, none where all is there."""

import numpy as np
import pytest
from tests.science.simulated import EPOCH, SIX_N

from scaling_lab.science.grid_extension import missing_sizes
from scaling_lab.science.isoflop import Profile, fit_isoflop, fit_profile
from scaling_lab.science.laws import Array, hoffmann
from scaling_lab.science.optimum import closed_form_optimum

BUDGETS = (1e19, 3e19, 1e20, 3e20)


def best(flops: float) -> float:
    return float(closed_form_optimum(EPOCH, flops).params)


def profile(flops: float, sizes: Array) -> Profile:
    return fit_profile(flops, sizes, np.asarray(hoffmann(sizes, flops / (6 * sizes), **EPOCH)), SIX_N)


def centred(flops: float) -> Profile:
    return profile(flops, best(flops) * np.geomspace(0.3, 3.3, 7))


def test_a_grid_around_its_minima_lacks_nothing() -> None:
    assert missing_sizes([centred(flops) for flops in BUDGETS]) == []


def test_an_edge_minimum_is_rejected_and_the_sizes_to_add_make_it_interior() -> None:
    last = BUDGETS[-1]
    small = best(last) * np.geomspace(0.1, 0.7, 5)
    profiles = [*map(centred, BUDGETS[:-1]), profile(last, small)]
    assert profiles[-1].refusal is not None
    assert profiles[-1].refusal.code == "edge_optimum"
    (missing,) = missing_sizes(profiles)
    assert missing.flops == last
    assert missing.centre == pytest.approx(best(last), rel=0.1)
    assert "edge optimum; around what the other budgets predict" in missing.reason
    extended = profile(last, np.concatenate([small, missing.params]))
    assert extended.vertex is not None
    assert min((extended.params < extended.vertex.params).sum(), (extended.params > extended.vertex.params).sum()) >= 2
    assert len(fit_isoflop([*profiles[:-1], extended]).accepted) == 4


def test_alone_a_budget_is_extended_around_its_best_size() -> None:
    sizes = best(1e20) * np.geomspace(2, 12, 5)
    (missing,) = missing_sizes([profile(1e20, sizes)])
    assert missing.centre == pytest.approx(sizes[0])
    assert max(missing.params) < sizes[0]
    assert len(missing.params) == 2


def test_four_sizes_are_completed_on_the_thinner_side() -> None:
    sizes = best(1e20) * np.array([0.25, 0.5, 1.5, 3.0])
    (missing,) = missing_sizes([profile(1e20, sizes)])
    assert len(missing.params) == 1
    assert missing.params[0] > sizes[-1]

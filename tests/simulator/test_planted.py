"""The planted laws give the numbers that follow from the published constants."""

from typing import get_args

import numpy as np
import pytest

from scaling_lab.config import PlantedLaw
from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.batch import steps_at_large_batch
from scaling_lab.science.frontier import TrainingLaw
from scaling_lab.science.laws import kaplan_steps
from scaling_lab.simulator.planted import BATCH, PLANTED

KAPLAN = PLANTED["kaplan2020"]


def test_the_configuration_names_every_set_of_laws() -> None:
    assert set(get_args(PlantedLaw)) == set(PLANTED)


@pytest.mark.parametrize(
    ("params", "tokens", "loss"),
    [(393_216, 22e9 / 1024, 4.4528), (3_145_728, 22e9 / 64, 3.6648), (707_788_800, 22e9, 2.4215)],
)
def test_final_losses_are_those_of_table_2(params: float, tokens: float, loss: float) -> None:
    assert KAPLAN.final_loss(params, tokens) == pytest.approx(loss, abs=5e-5)


def test_curves_at_an_unlimited_batch_are_those_of_table_3() -> None:
    losses = KAPLAN.training_loss(84_934_656, np.array([3e3, 1e4, 3e4, 1e5, 2.5e5]), 1e15)
    assert losses == pytest.approx([3.6008, 3.1437, 2.9708, 2.8914, 2.8647], abs=5e-5)


def test_a_finite_batch_delays_the_curve_by_the_critical_batch_at_its_loss() -> None:
    steps, batch = np.geomspace(10, 2.5e5, 50), 2.0**19
    losses = KAPLAN.training_loss(84_934_656, steps, batch)
    fewest = steps_at_large_batch(steps, batch, KAPLAN.critical_batch(losses))
    assert losses == pytest.approx(KAPLAN.training_loss(84_934_656, fewest, 1e18), rel=1e-9)
    assert (np.diff(losses) < 0).all()
    assert (losses > KAPLAN.training_loss(84_934_656, steps, 1e18)).all()


def test_table_5_is_the_limit_of_its_surface() -> None:
    limits = PLANTED["kaplan2020_table5"]
    assert limits.final_loss(84_934_656, 1e30) == pytest.approx(2.865301, abs=1e-6)
    assert limits.final_loss(1e30, 1e9) == pytest.approx(2.815642, abs=1e-6)
    assert limits.final_loss(84_934_656, 2.2e10) == limits.final_loss(84_934_656, 1e30)
    assert limits.final_loss(707_788_800, 1e9) == limits.final_loss(1e30, 1e9)
    assert limits.final_loss(84_934_656, 1e9) > max(2.815642, 2.865301)


def test_the_naive_row_of_table_5_is_the_best_use_of_compute_at_a_fixed_batch() -> None:
    laws = PLANTED["kaplan2020_naive"]
    for flops in (1e-3, 1.0):
        params = np.geomspace(1e6, 1e11, 20_001)
        losses = kaplan_steps(params, flops * PF_DAY / (6 * params * BATCH), **laws.steps)
        best = int(losses.argmin())
        assert losses[best] == pytest.approx((1.6e7 / flops) ** 0.057, rel=1e-6)
        assert params[best] == pytest.approx(1.6e9 * flops**0.88, rel=1e-3)
    assert laws.critical_batch(np.array([1.5])) < 1


def test_table_6_is_the_best_use_of_compute_of_its_curves() -> None:
    laws = PLANTED["kaplan2020_table6"]
    theory = TrainingLaw(**laws.steps, **laws.batch)
    for flops in (1e-6 * PF_DAY, 1e3 * PF_DAY):
        assert theory.loss(flops) == pytest.approx((3.1e8 * PF_DAY / flops) ** 0.05, rel=1e-9)
        assert theory.params(flops) == pytest.approx(1.3e9 * (flops / PF_DAY) ** 0.73, rel=1e-9)
    assert theory.batch(PF_DAY) == pytest.approx(2.0e6, rel=0.01)
    assert theory.steps(PF_DAY) == pytest.approx(5.4e3, rel=0.03)  # 6 N B S of Table 6 is 0.975 PF-days
    assert theory.exponents["S"] == pytest.approx(0.03, abs=0.003)

"""Planted histories: what must be told as a divergence, and what must not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scaling_lab.training.divergence import DivergenceWatch

STEPS = 1000
Losses = NDArray[np.float64]


def curve(noise: float = 0.2, seed: int = 0, floor: float = 3.0, steps: int = STEPS) -> Losses:
    """A run that learns: a power law of the step from ln 1024 to a floor, with noise from small batches."""
    step = np.arange(steps)
    return floor + (6.93 - floor) * (1 + step / 20) ** -0.7 + noise * np.random.default_rng(seed).standard_normal(steps)


def diverged_at(losses: Losses) -> int | None:
    return DivergenceWatch().first_divergence(losses.tolist())


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("seed", range(20))
def test_ordinary_noise_is_none(noise: float, seed: int) -> None:
    assert diverged_at(curve(noise, seed)) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_run_that_learns_nothing_is_none(seed: int) -> None:
    assert diverged_at(6.93 + 0.3 * np.random.default_rng(seed).standard_normal(STEPS)) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("at", [0, 7, STEPS - 1])
def test_a_loss_that_is_not_finite_is_at_its_step(bad: float, at: int) -> None:
    losses = curve()
    losses[at] = bad
    assert diverged_at(losses) == at + 1


@pytest.mark.parametrize("length", [1, 10, 49])
def test_a_spike_that_recovers_is_none(length: int) -> None:
    losses = curve()
    losses[400 : 400 + length] += 5
    assert diverged_at(losses) is None


@pytest.mark.parametrize("height", [2.2, 5.0, 1e6])
def test_a_spike_that_stays_ends_the_run_after_fifty_steps_or_five_percent(height: float) -> None:
    losses = curve(noise=0.05)
    losses[400:] += height
    assert diverged_at(losses) == 450
    longer = curve(noise=0.05, steps=4000)
    longer[3000:] += height
    assert diverged_at(longer) == 3158  # the 158th high step is the first that is 5 % of all


def test_a_slow_climb_back_to_the_start_is_told() -> None:
    losses = curve(noise=0.05)
    losses[400:] += np.linspace(0, 4, 600)
    found = diverged_at(losses)
    assert found is not None
    assert 650 < found < 850


def test_small_rises_are_none() -> None:
    losses = curve(noise=0.05)
    losses[400:] += 0.25
    assert diverged_at(losses) is None


def test_what_a_shorter_horizon_has_seen_is_told_alike() -> None:
    losses = curve(noise=0.05)
    losses[300:] += 5
    assert diverged_at(losses[:360]) == diverged_at(losses) == 350
    assert diverged_at(losses[:349]) is None


@given(st.lists(st.integers(1, STEPS), max_size=10, unique=True), st.integers(0, 700))
def test_what_is_told_does_not_depend_on_the_pieces(cuts: list[int], spike: int) -> None:
    losses = curve()
    losses[spike:] += 5
    watch, taken = DivergenceWatch(), 0
    found = None
    for piece in np.split(losses, sorted(cuts)):
        count = watch.first_divergence(piece.tolist())
        if count is not None:
            found = taken + count
            break
        taken += len(piece)
    assert found == diverged_at(losses)

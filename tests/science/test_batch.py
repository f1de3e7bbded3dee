"""Critical batch, its corrections and the noise scale (papers.md F6, F15)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_lab.science.batch import (
    compute_at_small_batch,
    doubling_factor,
    gradient_noise,
    steps_at_large_batch,
    steps_for_tokens,
    trunk_cost_share,
)
from scaling_lab.science.laws import LAWS, critical_batch, hyperbola
from scaling_lab.science.published import PUBLISHED
from scaling_lab.science.units import bits_per_token, bits_per_unit

CONSTANTS = PUBLISHED["kaplan_batch"].values


@pytest.mark.parametrize(
    ("loss", "batch"),
    [
        (10, 3633.41),
        (4, 285_277),
        (3, 1_122_569.7),
        (2.5, 2_674_649.5),
        (2.4, 3_248_550),
        (2.0, 7_740_039),
        (3.520111, 2**19),
    ],
)
def test_critical_batch(loss: float, batch: float) -> None:
    assert critical_batch(loss, **CONSTANTS) == pytest.approx(batch, rel=2e-6)


def test_critical_batch_doubles_per_13_percent() -> None:
    factor = doubling_factor(CONSTANTS["alpha_B"])
    assert factor == pytest.approx(0.8645372, abs=1e-7)
    assert 1 - factor == pytest.approx(0.13546, abs=1e-5)
    assert critical_batch(3 * factor, **CONSTANTS) == pytest.approx(2 * critical_batch(3, **CONSTANTS))
    assert critical_batch(0.87, **CONSTANTS) / CONSTANTS["B_star"] == pytest.approx(1.940902, abs=1e-6)


def test_readings_of_the_critical_batch() -> None:
    """papers.md A.11: 2.1e8 in the table, 2e8 in the text; 1 / alpha_B is 4.76, 4.8 in the figure, 5 in appendix B."""
    names = ("kaplan_batch", "kaplan_batch_text", "kaplan_batch_figure_10", "kaplan_batch_appendix_b")
    law = LAWS["critical_batch"]
    exponents = [law.derive(PUBLISHED[name].values)["loss_exponent"] for name in names]
    assert exponents == pytest.approx([4.76, 4.76, 4.8, 5], abs=2e-3)
    assert [float(law.predict(PUBLISHED[name].values, {"L": 1.0})) for name in names] == [2.1e8, 2e8, 2.1e8, 2.1e8]


def test_adjustments_at_a_loss_of_3() -> None:
    critical = critical_batch(3, **CONSTANTS)
    assert steps_at_large_batch(1, 2**19, critical) == pytest.approx(0.3183566, abs=1e-7)
    assert compute_at_small_batch(1, 2**19, critical) == pytest.approx(0.6816434, abs=1e-7)


batches = st.floats(1e2, 1e9)


@given(batches, batches, st.floats(1, 1e7))
def test_adjustments_sum_to_one(batch: float, critical: float, steps: float) -> None:
    flops = 6 * 1e6 * batch * steps
    least_steps, least_flops = (
        steps_at_large_batch(steps, batch, critical),
        compute_at_small_batch(flops, batch, critical),
    )
    assert least_steps / steps + least_flops / flops == pytest.approx(1)
    # the same as the hyperbola says: (S / S_min - 1) (E / E_min - 1) = 1 with E_min = B_crit S_min
    assert steps == pytest.approx(hyperbola(batch, least_steps, critical * least_steps))


@pytest.mark.parametrize(
    ("batch", "steps"), [(2**15, 16258.789), (2**17, 4814.697), (2**19, 1953.674), (2**21, 1238.419)]
)
def test_step_example_hyperbola(batch: int, steps: float) -> None:
    assert hyperbola(batch, 1000, 5e8) == pytest.approx(steps, abs=6e-4)
    assert steps_for_tokens(batch * steps, 1000, 5e8) == pytest.approx(steps, rel=1e-5)
    assert LAWS["hyperbola"].derive({"S_min": 1000, "E_min": 5e8})["B_crit"] == 5e5


def test_gradient_noise_inverts_the_expectation() -> None:
    small, large = (4 + 100 / batch for batch in (8, 64))
    signal, noise = gradient_noise(small, large, 8, 64)
    assert (signal, noise) == (pytest.approx(4), pytest.approx(100))
    assert noise / signal == pytest.approx(25)


def test_gradient_noise_is_unbiased() -> None:
    """On sampled gradients of 50 numbers: per-example noise of variance 2 in each, so that tr(Sigma) = 100."""
    rng = np.random.default_rng(0)
    mean = np.full(50, np.sqrt(4 / 50))
    norms = [np.sum((mean + rng.normal(0, np.sqrt(2 / b), (20_000, 50))) ** 2, axis=1) for b in (8, 64)]
    signal, noise = gradient_noise(*norms, 8, 64)
    assert signal.mean() == pytest.approx(4, abs=0.05)
    assert noise.mean() == pytest.approx(100, abs=1)


def test_gradient_noise_needs_two_batches() -> None:
    with pytest.raises(ValueError, match="small_batch is 8; allowed: less than large_batch, 8"):
        gradient_noise(1.0, 1.0, 8, 8)


@pytest.mark.parametrize(
    ("horizons", "fraction", "share"),
    [
        ([10, 20, 30], 0.2, 0.6),
        ([10, 20, 30], 0.1, 0.55),
        ([10, 15, 20, 25], 0.1, 0.4214286),
        ([5, 10, 20, 40, 80], 0.2, 0.6129032),
        ([7], 0.2, 1),
    ],
)
def test_trunk_cost(horizons: list[float], fraction: float, share: float) -> None:
    assert trunk_cost_share(horizons, fraction) == pytest.approx(share, abs=1e-7)


def test_units() -> None:
    assert bits_per_token(1.7) == pytest.approx(2.452582, abs=1e-6)
    assert bits_per_unit(1.7, 4.3) == pytest.approx(0.5703678, abs=1e-7)

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import run_spec

from scaling_lab.spec import RunSpec
from scaling_lab.training.schedule import learning_rate

PEAK = 0.01


def rates(spec: RunSpec) -> list[float]:
    return [learning_rate(spec, step * spec.batch_tokens) for step in range(spec.steps)]


def test_warmup_is_linear_and_starts_above_zero(spec: RunSpec) -> None:
    assert rates(spec)[:11] == pytest.approx([PEAK * (i + 1) / 11 for i in range(11)])


def test_wsd_is_constant_then_one_minus_sqrt(spec: RunSpec) -> None:
    found = rates(spec)
    assert found[10:81] == pytest.approx([PEAK] * 71)
    assert found[81:] == pytest.approx([PEAK * (1 - math.sqrt(i / 20)) for i in range(1, 20)])


def test_cosine_is_matched_to_the_horizon() -> None:
    found = rates(run_spec(schedule__name="cosine", schedule__final_fraction=0.1))
    assert found[10] == pytest.approx(PEAK)
    assert found[55] == pytest.approx(PEAK * (0.1 + 0.9 / 2))
    assert found[-1] == pytest.approx(0.1 * PEAK, rel=0.02)


@given(
    name=st.sampled_from(["wsd", "cosine"]),
    warmup=st.integers(0, 50),
    final=st.floats(0, 1),
    cooldown=st.floats(0, 1),
)
def test_rates_stay_between_zero_and_the_peak(name: str, warmup: int, final: float, cooldown: float) -> None:
    spec = run_spec(
        schedule={"name": name, "warmup_tokens": 128 * warmup, "final_fraction": final, "cooldown_fraction": cooldown}
    )
    found = rates(spec)
    assert all(0 <= rate <= PEAK * (1 + 1e-12) for rate in found)
    assert all(a >= b * (1 - 1e-12) for a, b in zip(found[warmup + 1 :], found[warmup + 2 :], strict=False))

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import run_spec

from scaling_lab.spec import RunSpec
from scaling_lab.training.schedule import DECAYS, SHAPES, learning_rate

PEAK = 0.01
STEPS = 100


def rates(spec: RunSpec) -> list[float]:
    """The rate of each step, and what the schedule would give to one more."""
    return [learning_rate(spec, step * spec.batch_tokens) for step in range(spec.steps + 1)]


def test_warmup_is_linear_and_starts_above_zero(spec: RunSpec) -> None:
    assert rates(spec)[:11] == pytest.approx([PEAK * (i + 1) / 11 for i in range(11)])


@pytest.mark.parametrize(
    ("shape", "left"),
    [
        ("sqrt", lambda x: 1 - math.sqrt(x)),
        ("linear", lambda x: 1 - x),
        ("cosine", lambda x: (1 + math.cos(math.pi * x)) / 2),
        ("square", lambda x: 1 - x**2),
    ],
)
def test_wsd_is_constant_then_cools_down_in_its_shape(shape: str, left: Any) -> None:
    found = rates(run_spec(schedule__cooldown_shape=shape))
    assert found[10:81] == pytest.approx([PEAK] * 71)
    assert found[81:] == pytest.approx([PEAK * left(i / 20) for i in range(1, 21)], abs=1e-15)


def test_cosine_is_matched_to_the_horizon() -> None:
    found = rates(run_spec(schedule__name="cosine", schedule__final_fraction=0.1))
    assert found[10] == pytest.approx(PEAK)
    assert found[55] == pytest.approx(PEAK * (0.1 + 0.9 / 2))
    assert found[-1] == pytest.approx(0.1 * PEAK)


def test_an_overlong_cosine_is_a_matched_one_of_the_longer_run_cut_short() -> None:
    long = rates(run_spec(schedule__name="cosine", tokens=128 * 150))
    cut = rates(run_spec(schedule__name="cosine", schedule__period_fraction=1.5))
    assert cut == pytest.approx(long[: STEPS + 1])


def test_rsqrt_falls_as_one_over_the_root_of_tokens_and_then_to_zero() -> None:
    found = rates(run_spec(schedule__name="rsqrt", schedule__cooldown_shape="linear"))
    assert found[10:81] == pytest.approx([PEAK * math.sqrt(10 / i) for i in range(10, 81)])
    assert found[81:] == pytest.approx([PEAK * math.sqrt(10 / i) * (100 - i) / 20 for i in range(81, 101)])


def test_linear_and_constant() -> None:
    linear = rates(run_spec(schedule__name="linear", schedule__final_fraction=0.1))
    assert linear[10:] == pytest.approx([PEAK * (1 - 0.9 * i / 90) for i in range(91)])
    assert rates(run_spec(schedule__name="constant"))[10:] == [PEAK] * 91


schedules = st.fixed_dictionaries(
    {
        "name": st.sampled_from(sorted(DECAYS)),
        "cooldown_shape": st.sampled_from(sorted(SHAPES)),
        "warmup_tokens": st.integers(1, STEPS // 2).map(lambda steps: 128 * steps),
        "cooldown_fraction": st.just(0.0) | st.floats(0.001, 1),
        "period_fraction": st.floats(1, 5),
        "final_fraction": st.floats(0, 1),
    }
)


@given(schedules)
def test_every_schedule_rises_to_its_peak_once_and_never_again(schedule: dict[str, Any]) -> None:
    found = rates(run_spec(schedule=schedule))
    warmup = schedule["warmup_tokens"] // 128
    assert found[warmup] == pytest.approx(PEAK)
    assert max(found) <= PEAK * (1 + 1e-12)
    assert all(a < b for a, b in pairwise(found[: warmup + 1]))
    assert all(a >= b - 1e-12 * PEAK for a, b in pairwise(found[warmup:]))


@given(schedules)
def test_every_schedule_ends_where_it_says(schedule: dict[str, Any]) -> None:
    last, final = rates(run_spec(schedule=schedule))[-1], schedule["final_fraction"] * PEAK
    if schedule["name"] == "constant" or (schedule["name"] == "wsd" and schedule["cooldown_fraction"] == 0):
        assert last == pytest.approx(PEAK)
    elif schedule["name"] == "rsqrt" and schedule["cooldown_fraction"] == 0:
        left = math.sqrt(schedule["warmup_tokens"] / (128 * STEPS))
        assert last == pytest.approx(final + (PEAK - final) * left)
    elif schedule["name"] == "cosine":
        assert last >= final - 1e-12
        assert schedule["period_fraction"] > 1 or last == pytest.approx(final, abs=1e-12)
    else:
        assert last == pytest.approx(final, abs=1e-12)


@given(schedules, st.integers(1, 20))
def test_every_schedule_is_continuous(schedule: dict[str, Any], finer: int) -> None:
    """A step is at most what the steepest shape does in one batch, the beginning of 1 - sqrt: no jump anywhere."""
    spec = run_spec(schedule=schedule)
    length = max(128.0, min(schedule["cooldown_fraction"] * spec.tokens, spec.tokens - schedule["warmup_tokens"]))
    near = [learning_rate(spec, t) for t in range(schedule["warmup_tokens"], spec.tokens, 128 // finer)]
    steepest = max(math.sqrt(128 / length), math.pi * 128 / length, 2 * 128 / length)
    if schedule["name"] == "rsqrt":  # on top of its cooldown, half a step's share of the warmup
        steepest += 0.5 * 128 / schedule["warmup_tokens"]
    assert all(a - b <= PEAK * steepest + 1e-12 for a, b in pairwise(near))


@given(schedules.filter(lambda s: s["name"] in ("wsd", "rsqrt")), st.integers(1, 3))
def test_horizons_of_a_trunk_share_the_rates_before_their_branch(schedule: dict[str, Any], times: int) -> None:
    short = run_spec(schedule=schedule)
    long = run_spec(schedule=schedule, tokens=128 * STEPS * times)
    until = min(short.branch_tokens, long.branch_tokens)
    if schedule["warmup_tokens"] <= until:
        assert [learning_rate(short, t) for t in range(0, until, 128)] == [
            learning_rate(long, t) for t in range(0, until, 128)
        ]

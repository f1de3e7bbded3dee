"""Published rules for rate and batch (papers.md F3, F14)."""

import pytest

from scaling_lab.science.hyperparameters import (
    PUBLISHED_BATCHES,
    PUBLISHED_RATES,
    deepseek_batch,
    deepseek_model_scale,
    deepseek_rate,
    deepseek_tokens,
    kaplan_rate,
    olmo_batch_sequences,
    olmo_rate,
    olmo_warmup_tokens,
    porian_batch,
    porian_rate,
    power_rate,
    step_batch,
    step_rate,
    zhang_batch_sequences,
    zhang_fixed_data_batch_sequences,
)

N, D = 1e9, 2e10
C = 6 * N * D


@pytest.mark.parametrize(
    ("params", "rate"),
    [
        (768, 2.312191e-3),
        (393_216, 1.441945e-3),
        (3_145_728, 1.151863e-3),
        (84_934_656, 6.920937e-4),
        (707_788_800, 3.963169e-4),
        (1.47456e9, 2.939282e-4),
        (1e10, 2.68938e-5),
    ],
)
def test_kaplan_rate(params: float, rate: float) -> None:
    assert kaplan_rate(params) == pytest.approx(rate, rel=2e-6)
    assert PUBLISHED_RATES["kaplan"](params, D, C) == kaplan_rate(params)


def test_kaplan_rate_refuses_sizes_near_its_zero() -> None:
    """By its line the rate is zero at 1.2126246e10."""
    slope = kaplan_rate(1e9) - kaplan_rate(1e8)  # per decade
    decades = -kaplan_rate(1e10) / slope
    assert 1e10 * 10**decades == pytest.approx(1.2126246e10, rel=1e-7)
    with pytest.raises(ValueError, match=r"up to 1e10 non-embedding parameters, not 1\.01e"):
        kaplan_rate(1.01e10)


def test_rules_at_a_billion_parameters() -> None:
    assert deepseek_rate(C) == pytest.approx(9.63781e-4, rel=1e-6)
    assert deepseek_batch(C) == pytest.approx(1.0796501e6, rel=1e-7)
    assert step_rate(N, D) == pytest.approx(9.96023e-4, rel=1e-6)
    assert step_batch(D) == pytest.approx(4.41892e5, rel=2e-6)
    assert porian_rate(N) == pytest.approx(2.129128e-3, rel=1e-6)
    assert porian_batch(N) == pytest.approx(1.608570e6, rel=1e-6)
    assert olmo_batch_sequences(N) == pytest.approx(705.51, abs=6e-3)
    assert olmo_rate(N) == pytest.approx(2.238235e-3, rel=1e-6)
    assert zhang_batch_sequences(N) == pytest.approx(2395.61, abs=6e-3)
    assert olmo_warmup_tokens(N) == N


def test_deepseek_allocation_spends_the_budget() -> None:
    assert deepseek_model_scale(1e20) * deepseek_tokens(1e20) == pytest.approx(1.000119e20, rel=1e-6)
    assert deepseek_model_scale(1e22) / deepseek_model_scale(1e20) == pytest.approx(100**0.5243)


def test_reference_points_of_the_rules() -> None:
    assert (olmo_batch_sequences(108e6), olmo_rate(108e6)) == (160, 0.0047)
    assert zhang_batch_sequences(1e6) == 93.20
    assert zhang_fixed_data_batch_sequences(1e6) == 621.341
    assert zhang_fixed_data_batch_sequences(1e9) / 621.341 == pytest.approx(1000**0.087)
    assert porian_batch(108e6) / 2048 == pytest.approx(160, rel=0.06)  # papers.md D.3: ~160 sequences at 108M
    assert power_rate(1e6, 1e8, 3.7, 0.36, 0.0) == pytest.approx(porian_rate(1e6))
    assert power_rate(N, D, 1.79, 0.713, -0.307) == pytest.approx(step_rate(N, D))


def test_rules_by_name() -> None:
    """All of one signature, (N, D, C), and batches in tokens whatever the paper counts in."""
    rates = {name: rule(N, D, C) for name, rule in PUBLISHED_RATES.items()}
    expected = {"deepseek": 9.63781e-4, "step": 9.96023e-4, "porian": 2.129128e-3, "olmo": 2.238235e-3}
    assert {name: rates[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    batches = {name: rule(N, D, C) for name, rule in PUBLISHED_BATCHES.items()}
    assert batches == pytest.approx(
        {
            "deepseek": 1.0796501e6,
            "step": 4.41892e5,
            "porian": 1.608570e6,
            "olmo": 2048 * 705.51,
            "zhang": 512 * 2395.61,
            "zhang_fixed_data": 512 * 621.341 * 1000**0.087,
        },
        rel=1e-5,
    )

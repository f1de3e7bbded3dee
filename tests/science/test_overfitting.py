"""What limited data cost (papers.md F5, F9), and where Kaplan's laws contradict each other (F9)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.crossing import DATA_READINGS, LOSS_READINGS, crossing
from scaling_lab.science.laws import LAWS, kaplan, power
from scaling_lab.science.overfitting import (
    early_stopping_bound,
    early_stopping_bound_of_law,
    overfit_excess,
    overfit_ratio,
    tokens_for_absolute_excess,
    tokens_for_relative_excess,
    tokens_for_relative_excess_printed,
)
from scaling_lab.science.published import ALLOCATIONS, PUBLISHED

LAW, STEPS = PUBLISHED["kaplan"].values, PUBLISHED["kaplan_steps"].values


@given(st.floats(1e3, 1e12), st.floats(1e6, 1e13))
def test_the_two_forms_of_dl_are_one(n: float, d: float) -> None:
    ratio = overfit_ratio(kaplan(n, d, **LAW), power(n, LAW["Nc"], LAW["alpha_N"]))
    assert overfit_excess(n, d, LAW) == pytest.approx(ratio, rel=1e-9, abs=1e-13)


def test_exponent_of_the_data_needed() -> None:
    """.74 is .076 / .103 of Table 2; Table 5's .095 would give .80 (papers.md A.11)."""
    exponent = LAWS["kaplan"].derive(LAW)["overfitting_exponent"]
    assert exponent == pytest.approx(0.7378641, abs=1e-7)
    assert 8**exponent == pytest.approx(4.638287, abs=1e-6)
    rounded = 0.74
    assert 8**rounded == pytest.approx(4.658934, abs=1e-6)
    table_5 = PUBLISHED["kaplan_params"].values["alpha"] / PUBLISHED["kaplan_tokens"].values["alpha"]
    assert table_5 == pytest.approx(0.80, abs=1e-3)
    need = [tokens_for_relative_excess(n, 0.02, LAW) for n in (1e6, 8e6)]
    assert need[1] / need[0] == pytest.approx(4.638287, abs=1e-6)


def test_data_needed_read_as_relative() -> None:
    assert tokens_for_relative_excess(1.0, 0.02, LAW) == pytest.approx(5519.32, abs=5e-3)
    n = np.geomspace(1e5, 1e10, 5)
    assert tokens_for_relative_excess_printed(n) == pytest.approx(tokens_for_relative_excess(n, 0.02, LAW), rel=0.08)
    assert tokens_for_relative_excess_printed(1.0) == 5e3
    assert overfit_excess(n, tokens_for_relative_excess(n, 0.02, LAW), LAW) == pytest.approx(0.02)


def test_data_needed_read_as_absolute() -> None:
    n = np.array([3_145_728, 1.47456e9])
    need = tokens_for_absolute_excess(n, 0.02, LAW)
    assert kaplan(n, need, **LAW) - power(n, LAW["Nc"], LAW["alpha_N"]) == pytest.approx(0.02)
    coefficients = need / n ** (LAW["alpha_N"] / LAW["alpha_D"])
    assert coefficients == pytest.approx([21.5e3, 13e3], rel=0.03)  # 13-22e3 for Kaplan's range of N


def test_early_stopping_bound() -> None:
    """papers.md F9; its dL is the difference in nats there, not the ratio of Eq 4.2."""
    n, d = 301_989_888, 343.75e6
    unlimited = power(n, LAW["Nc"], LAW["alpha_N"])
    assert kaplan(n, d, **LAW) - unlimited == pytest.approx(0.5705182, abs=6e-8)
    bound = early_stopping_bound_of_law(n, d, LAW, STEPS["Sc"], STEPS["alpha_S"])
    assert bound == pytest.approx(4394.58, abs=6e-3)
    assert early_stopping_bound(kaplan(n, d, **LAW), unlimited, STEPS["Sc"], STEPS["alpha_S"]) == pytest.approx(bound)
    assert early_stopping_bound_of_law(n, 2 * d, LAW, STEPS["Sc"], STEPS["alpha_S"]) > bound


def test_table_6_allocation() -> None:
    names = ("params", "batch", "steps")
    parts = {name: ALLOCATIONS[f"kaplan_{name}"](PF_DAY) for name in names}
    assert 6 * parts["params"] * parts["batch"] * parts["steps"] / PF_DAY == pytest.approx(0.975)
    assert 2 * parts["batch"] * parts["steps"] == pytest.approx(2.16e10)
    growth = {name: ALLOCATIONS[f"kaplan_{name}"](1e9 * PF_DAY) / parts[name] for name in names}
    assert growth["params"] == pytest.approx(3_715_352, abs=0.6)
    assert growth["batch"] == pytest.approx(144.544, abs=6e-4)
    assert growth["steps"] == pytest.approx(1.862, abs=6e-4)
    assert ALLOCATIONS["kaplan_params"](10 * PF_DAY) / parts["params"] == pytest.approx(5.37032, abs=6e-6)


def test_hoffmanns_use_of_kaplans_rule() -> None:
    """papers.md C.6: 4.683e9 parameters at 1e21 FLOP takes C_min = C / 2; C itself gives 7.77e9."""
    assert ALLOCATIONS["kaplan_params"](1e21 / 2) == pytest.approx(4.683132e9, rel=2e-7)
    assert ALLOCATIONS["kaplan_params"](1e21) == pytest.approx(7.77e9, rel=1e-3)
    assert ALLOCATIONS["kaplan_params_naive"](PF_DAY) == 1.6e9
    assert ALLOCATIONS["kaplan_params_naive"](10 * PF_DAY) == pytest.approx(1.6e9 * 10**0.88)


def test_porians_tuned_rule() -> None:
    """papers.md D.3: N*(5.88e23) is 76.9B."""
    assert ALLOCATIONS["porian_params"](5.88e23) == pytest.approx(76.9e9, rel=0.1)


@pytest.mark.parametrize(
    ("loss_reading", "data_reading", "pf_days", "params", "tokens", "loss"),
    [
        ("table_5", "table_6", 1.119e4, 1.174e12, 2.479e11, 1.668),
        ("table_5", "eq_6_7", 1.064e5, 6.078e12, 8.112e11, 1.490),
        ("figure_13", "table_6", 6062, 7.503e11, 2.101e11, 1.694),
    ],
)
def test_crossing(
    loss_reading: str, data_reading: str, pf_days: float, params: float, tokens: float, loss: float
) -> None:
    found = crossing(loss_reading, data_reading)
    assert found.pf_days == pytest.approx(pf_days, rel=5e-4)
    assert found.params == pytest.approx(params, rel=5e-4)
    assert found.tokens == pytest.approx(tokens, rel=5e-4)
    assert found.loss == pytest.approx(loss, abs=6e-4)


@pytest.mark.parametrize("data_reading", sorted(DATA_READINGS))
@pytest.mark.parametrize("loss_reading", sorted(LOSS_READINGS))
def test_both_laws_agree_at_every_reading_of_the_crossing(loss_reading: str, data_reading: str) -> None:
    found, data = crossing(loss_reading, data_reading), PUBLISHED["kaplan_tokens"].values
    assert power(found.tokens, **data) == pytest.approx(found.loss)
    assert power(found.flops, **LOSS_READINGS[loss_reading]) == pytest.approx(found.loss)
    assert DATA_READINGS[data_reading](found.flops) == pytest.approx(found.tokens)
    beyond = 10 * found.flops  # the contradiction: less loss than the data allow
    assert power(beyond, **LOSS_READINGS[loss_reading]) < power(DATA_READINGS[data_reading](beyond), **data)


def test_the_middle_of_eq_6_7_follows_from_table_6() -> None:
    middle = DATA_READINGS["eq_6_7_middle"]
    assert middle(PF_DAY) == pytest.approx(2.2153846e10, rel=1e-8)
    assert middle(1e22) == pytest.approx(2 * 1e22 / (6 * ALLOCATIONS["kaplan_params"](1e22)))

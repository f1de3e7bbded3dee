"""Where Kaplan et al. 2020 print two numbers for one thing: both, computed from their own constants."""

from __future__ import annotations

from typing import Any

from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.crossing import crossing
from scaling_lab.science.laws import power
from scaling_lab.science.overfitting import tokens_for_absolute_excess, tokens_for_relative_excess
from scaling_lab.science.published import ALLOCATIONS, PUBLISHED

EXCESS = 0.02
PLACE_OF_EQ_4_4 = 708e6  # parameters: the paper's largest model of section 4


def paper_readings() -> list[dict[str, Any]]:
    """Every disputed quantity with the readings that the paper gives, each with its source."""
    surface, steps = PUBLISHED["kaplan"].values, PUBLISHED["kaplan_steps"].values
    params, tokens = PUBLISHED["kaplan_params"].values, PUBLISHED["kaplan_tokens"].values
    batch = PUBLISHED["kaplan_batch"].values
    compute = {name: 1 / (1 / steps["alpha_S"] + 1 / batch["alpha_B"] + 1 / alpha)
               for name, alpha in (("0.077", steps["alpha_N"]), ("0.076", params["alpha"]))}  # fmt: skip
    meeting = {name: crossing("table_5", name) for name in ("table_6", "eq_6_7")}
    return [
        _readings("exponent of N in the data needed", {
            "Table 2": surface["alpha_N"] / surface["alpha_D"], "Table 5": params["alpha"] / tokens["alpha"],
        }),
        _readings("exponent of L(C_min)", {
            "Eq 6.4 as printed": 0.054, **{f"Eq B.7 with alpha_N = {name}": value for name, value in compute.items()},
        }),
        _readings("L(C_min) at one PF-day, nats", {
            "Table 5": float(power(PF_DAY, **_scaled("kaplan_compute"))),
            "Figure 13": float(power(PF_DAY, **_scaled("kaplan_compute_figure_13"))),
        }),
        _readings("tokens at one PF-day", {
            "Table 6": ALLOCATIONS["kaplan_tokens"].coefficient,
            "Eq 6.7 as printed": ALLOCATIONS["kaplan_tokens_eq_6_7"].coefficient,
            "Eq 6.7 with N of Table 6": ALLOCATIONS["kaplan_tokens_eq_6_7_middle"].coefficient,
        }),
        _readings("compute of the contradiction, PF-days", {
            "Table 6": meeting["table_6"].pf_days, "Eq 6.7": meeting["eq_6_7"].pf_days, "Eq 6.8 as printed": 1e4,
        }),
        _readings("loss there, nats", {
            "Table 6": meeting["table_6"].loss, "Eq 6.7": meeting["eq_6_7"].loss, "Eq 6.8 as printed": 1.7,
        }),
        _readings(f"tokens that {PLACE_OF_EQ_4_4:.3g} parameters need, Eq 4.4, excess 0.02", {
            "relative": float(tokens_for_relative_excess(PLACE_OF_EQ_4_4, EXCESS, surface)),
            "absolute, in nats": float(tokens_for_absolute_excess(PLACE_OF_EQ_4_4, EXCESS, surface)),
            "5e3 N^0.74 as printed": 5e3 * PLACE_OF_EQ_4_4**0.74,
        }),
        _readings("exponent of the loss in B_crit", {
            "Table 5, 1 / 0.21": 1 / batch["alpha_B"], "Figure 10": 4.8, "Eq B.4": 5.0,
        }),
    ]  # fmt: skip


def _readings(quantity: str, values: dict[str, float]) -> dict[str, Any]:
    return {"quantity": quantity, "readings": [{"source": source, "value": value} for source, value in values.items()]}


def _scaled(name: str) -> dict[str, float]:
    return dict(PUBLISHED[name].values)

"""The contradiction of Kaplan's section 6.3: beyond some compute, L(C_min) falls below L(D) of its own data.

The paper's constants disagree with each other, so every reading has a name: `LOSS_READINGS` for L(C_min),
`DATA_READINGS` for D(C_min).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scaling_lab.science.accounting import pf_days
from scaling_lab.science.published import ALLOCATIONS, PUBLISHED, Allocation

LOSS_READINGS: Mapping[str, Mapping[str, float]] = {
    "table_5": PUBLISHED["kaplan_compute"].values,
    "figure_13": PUBLISHED["kaplan_compute_figure_13"].values,
}
DATA_READINGS: Mapping[str, Allocation] = {
    "table_6": ALLOCATIONS["kaplan_tokens"],
    "eq_6_7": ALLOCATIONS["kaplan_tokens_eq_6_7"],
    "eq_6_7_middle": ALLOCATIONS["kaplan_tokens_eq_6_7_middle"],
}


@dataclass(frozen=True)
class Crossing:
    """Where both laws meet: FLOPs, parameters, tokens, nats per token."""

    flops: float
    params: float
    tokens: float
    loss: float

    @property
    def pf_days(self) -> float:
        """The FLOPs in PF-days."""
        return pf_days(self.flops)


def crossing(loss_reading: str = "table_5", data_reading: str = "table_6") -> Crossing:
    """Solve (Dc / D(C))^alpha_D = (Cc / C)^alpha_C for C (Kaplan et al. 2020, Eq 6.8).

    Raises:
        KeyError: an unknown reading.
    """
    compute, tokens = LOSS_READINGS[loss_reading], DATA_READINGS[data_reading]
    data = PUBLISHED["kaplan_tokens"].values
    slope = compute["alpha"] - data["alpha"] * tokens.exponent
    scale = compute["Xc"] / tokens.unit
    flops = tokens.unit * (scale ** compute["alpha"] * (tokens.coefficient / data["Xc"]) ** data["alpha"]) ** (
        1 / slope
    )
    loss = (compute["Xc"] / flops) ** compute["alpha"]
    return Crossing(flops, ALLOCATIONS["kaplan_params"](flops), tokens(flops), loss)

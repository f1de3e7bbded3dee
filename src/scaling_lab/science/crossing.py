"""The contradiction of Kaplan's section 6.3: beyond some compute, L(C_min) falls below L(D) of its own data.

The paper's constants disagree with each other, so every reading has a name: `LOSS_READINGS` for L(C_min),
`DATA_READINGS` for D(C_min). Compute in PF-days, as printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.published import PUBLISHED


@dataclass(frozen=True)
class Allocation:
    """coefficient * C^exponent, C in PF-days."""

    coefficient: float
    exponent: float

    def __call__(self, pf_days: float) -> float:
        return float(self.coefficient * pf_days**self.exponent)


TABLE_6: Mapping[str, Allocation] = {
    "params": Allocation(1.3e9, 0.73),
    "batch_tokens": Allocation(2.0e6, 0.24),
    "steps": Allocation(5.4e3, 0.03),
    "tokens": Allocation(2e10, 0.27),
}
"""Kaplan et al. 2020, Table 6: the compute-optimal model, batch, steps (a lower bound) and data (one epoch)."""

NAIVE_PARAMS = Allocation(1.6e9, 0.88)
"""The same for training at a fixed batch (Figure 14)."""

LOSS_READINGS: Mapping[str, Mapping[str, float]] = {
    "table_5": PUBLISHED["kaplan_compute"].values,
    "figure_13": PUBLISHED["kaplan_compute_figure_13"].values,
}
DATA_READINGS: Mapping[str, Allocation] = {
    "table_6": TABLE_6["tokens"],
    "eq_6_7": Allocation(4e10, 0.26),
    "twice_flops_over_6n": Allocation(2 * PF_DAY / (6 * TABLE_6["params"].coefficient), 1 - TABLE_6["params"].exponent),
}
"""D(C_min) as tabulated, as printed in Eq 6.7, and as its middle, 2 C_min / (6 N(C_min)), gives with Table 6."""


@dataclass(frozen=True)
class Crossing:
    """Where both laws meet: PF-days, parameters, tokens, nats per token."""

    pf_days: float
    params: float
    tokens: float
    loss: float


def crossing(loss_reading: str = "table_5", data_reading: str = "table_6") -> Crossing:
    """Solve (Dc / D(C))^alpha_D = (Cc / C)^alpha_C for C (Kaplan et al. 2020, Eq 6.8).

    Raises:
        KeyError: an unknown reading.
    """
    compute, tokens = LOSS_READINGS[loss_reading], DATA_READINGS[data_reading]
    data = PUBLISHED["kaplan_tokens"].values
    scale = compute["Xc"] / PF_DAY
    power = compute["alpha"] - data["alpha"] * tokens.exponent
    flops = (scale ** compute["alpha"] * (tokens.coefficient / data["Xc"]) ** data["alpha"]) ** (1 / power)
    return Crossing(flops, TABLE_6["params"](flops), tokens(flops), (scale / flops) ** compute["alpha"])

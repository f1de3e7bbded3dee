"""The contradiction of Kaplan's section 6.3: beyond some compute, L(C_min) falls below L(D) of its own data.

The paper's constants disagree with each other, so every reading has a name: `LOSS_READINGS` for L(C_min),
`DATA_READINGS` for D(C_min).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scaling_lab.science.accounting import pf_days
from scaling_lab.science.frontier import TrainingLaw
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
    """Solve (Dc / D(C))^alpha_D = (Cc / C)^alpha_C for C with published constants (Kaplan et al. 2020, Eq 6.8).

    Raises:
        KeyError: an unknown reading.
    """
    compute, tokens = LOSS_READINGS[loss_reading], DATA_READINGS[data_reading]
    flops = _meeting(compute, tokens, PUBLISHED["kaplan_tokens"].values)
    loss = (compute["Xc"] / flops) ** compute["alpha"]
    return Crossing(flops, ALLOCATIONS["kaplan_params"](flops), tokens(flops), loss)


def crossing_of(law: TrainingLaw, data: Mapping[str, float]) -> Crossing | None:
    """The same with L(C_min), N(C_min) and D(C_min) = 2 C_min / (6 N) of a fitted law; `data`: Xc and alpha of L(D).

    None where L(D) along D(C_min) falls as fast as L(C_min), or where they met below one FLOP.
    """
    exponent = 1 - law.exponents["N"]
    tokens = Allocation("Eq 6.7", 2 / (6 * law.params(1.0)), exponent, 1.0)
    if law.alpha_C <= data["alpha"] * exponent:
        return None
    with np.errstate(over="ignore"):
        flops = _meeting({"Xc": law.Cc, "alpha": law.alpha_C}, tokens, data)
    if not 1 < flops < np.inf:
        return None
    return Crossing(flops, float(law.params(flops)), tokens(flops), float(law.loss(flops)))


def _meeting(compute: Mapping[str, float], tokens: Allocation, data: Mapping[str, float]) -> float:
    """C at which (Xc / C)^alpha of compute is that of the data D(C)."""
    slope = compute["alpha"] - data["alpha"] * tokens.exponent
    scale = compute["Xc"] / tokens.unit
    ratio = np.log(scale) * compute["alpha"] + np.log(tokens.coefficient / data["Xc"]) * data["alpha"]
    return float(tokens.unit * np.exp(ratio / slope))

"""Laws of training: loss against steps, the critical batch against loss, steps against batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scaling_lab.science.laws.law import Array, Law, exponent, log_sum, scale


def kaplan_steps(N: Any, S: Any, Nc: Any, Sc: Any, alpha_N: Any, alpha_S: Any) -> Any:
    """L = (Nc / N)^alpha_N + (Sc / S)^alpha_S."""
    return (Nc / N) ** alpha_N + (Sc / S) ** alpha_S


def critical_batch(L: Any, B_star: Any, alpha_B: Any) -> Any:
    """B = B_star / L^(1 / alpha_B)."""
    return B_star / L ** (1 / alpha_B)


def hyperbola(B: Any, S_min: Any, E_min: Any) -> Any:
    """S = S_min + E_min / B."""
    return S_min + E_min / B


def _kaplan_steps_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    scale_n, scale_s, alpha_n, alpha_s = (theta[:, j : j + 1] for j in range(4))
    of_size, of_steps = scale_n - logs["N"], scale_s - logs["S"]
    value, share = log_sum(alpha_n * of_size, alpha_s * of_steps)
    jacobian = [share * alpha_n, (1 - share) * alpha_s, share * of_size, (1 - share) * of_steps]
    return value, np.stack(jacobian, axis=1)


KAPLAN_STEPS = Law(
    name="kaplan_steps",
    equation="L = (Nc / N)^alpha_N + (Sc / S)^alpha_S",
    source="Kaplan et al. 2020, Eq 1.6 and 5.6, with S = S_min, the steps of an unlimited batch",
    variables=("N", "S"),
    parameters=(
        scale("Nc", "scale of N", (10.0, 20.0, 30.0, 40.0)),
        scale("Sc", "scale of S, steps", (2.0, 5.0, 8.0, 12.0)),
        exponent("alpha_N", "exponent of N", (0.05, 0.1, 0.3)),
        exponent("alpha_S", "exponent of S", (0.3, 0.7, 1.2)),
    ),
    function=kaplan_steps,
    log_form=_kaplan_steps_log,
)

CRITICAL_BATCH = Law(
    name="critical_batch",
    equation="B = B_star / L^(1 / alpha_B)",
    source="Kaplan et al. 2020, Eq 1.4 and 5.3",
    variables=("L",),
    parameters=(
        scale("B_star", "critical batch at a loss of 1 nat, tokens", (5.0, 10.0, 15.0, 20.0)),
        exponent("alpha_B", "inverse exponent of the loss", (0.1, 0.2, 0.4, 1.0)),
    ),
    function=critical_batch,
    derived={"loss_exponent": lambda p: 1 / p["alpha_B"]},
    response="critical batch, tokens",
)

HYPERBOLA = Law(
    name="hyperbola",
    equation="S = S_min + E_min / B",
    source="McCandlish et al. 2018; Kaplan et al. 2020, Eq 5.1: (S / S_min - 1)(E / E_min - 1) = 1 with E = B S",
    variables=("B",),
    parameters=(
        scale("S_min", "fewest steps to the target loss", (2.0, 6.0, 10.0)),
        scale("E_min", "fewest tokens to the target loss", (10.0, 16.0, 22.0)),
    ),
    function=hyperbola,
    derived={"B_crit": lambda p: p["E_min"] / p["S_min"]},
    response="steps to the target loss",
)

"""Laws of the loss in one variable X: parameters, tokens or FLOPs with the others ample, or the position T."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scaling_lab.science.laws.law import Array, Law, amplitude, exponent, log_sum, offset, scale


def power(X: Any, Xc: Any, alpha: Any) -> Any:
    """L = (Xc / X)^alpha."""
    return (Xc / X) ** alpha


def power_offset(X: Any, E: Any, Xc: Any, alpha: Any) -> Any:
    """L = E + (Xc / X)^alpha."""
    return E + (Xc / X) ** alpha


def logarithm(X: Any, Xc: Any, k: Any) -> Any:
    """L = k log(Xc / X)."""
    return k * np.log(Xc / X)


def bnsl(X: Any, E: Any, b: Any, c0: Any, c1: Any, d1: Any, f1: Any) -> Any:
    """L = E + b X^-c0 (1 + (X / d1)^(1 / f1))^(-c1 f1)."""
    return broken_power(X, E, b, c0, [(c1, d1, f1)])


def position(T: Any, E_T: Any, k: Any, p: Any) -> Any:
    """L = E_T + k T^-p."""
    return E_T + k * T**-p


def broken_power(X: Any, a: Any, b: Any, c0: Any, breaks: Sequence[tuple[Any, Any, Any]]) -> Any:
    """a + b X^-c0 prod_i (1 + (X / d_i)^(1 / f_i))^(-c_i f_i) (Caballero et al. 2022).

    breaks: (c_i, d_i, f_i) each; beyond d_i the log-log slope of the reducible part has grown by c_i, and f_i is how
    gradually. Without breaks it is a power law with an offset. At most one break per four points is worth fitting.
    """
    value = b * X**-c0
    for slope, place, width in breaks:
        value = value * (1 + (X / place) ** (1 / width)) ** (-slope * width)
    return a + value


def _power_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    log_scale, alpha = theta[:, 0:1], theta[:, 1:2]
    distance = log_scale - logs["X"]
    return alpha * distance, np.stack([np.broadcast_to(alpha, distance.shape), distance], axis=1)


def _power_offset_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    constant, log_scale, alpha = theta[:, 0:1], theta[:, 1:2], theta[:, 2:3]
    distance = log_scale - logs["X"]
    with np.errstate(divide="ignore"):
        value, share = log_sum(alpha * distance, np.log(constant))
    return value, np.stack([np.exp(-value), share * alpha, share * distance], axis=1)


def _position_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    constant, log_k, slope = theta[:, 0:1], theta[:, 1:2], theta[:, 2:3]
    with np.errstate(divide="ignore"):
        value, share = log_sum(log_k - slope * logs["T"], np.log(constant))
    return value, np.stack([np.exp(-value), share, -share * logs["T"]], axis=1)


POWER = Law(
    name="power",
    equation="L = (Xc / X)^alpha",
    source="Kaplan et al. 2020, Eq 1.1 to 1.3",
    variables=("X",),
    parameters=(
        scale("Xc", "X at which the loss would be 1 nat"),
        exponent("alpha", "exponent", (0.02, 0.05, 0.1, 0.2, 0.4)),
    ),
    function=power,
    log_form=_power_log,
    derived={"doubling_factor": lambda p: 2.0 ** -p["alpha"]},
)

POWER_OFFSET = Law(
    name="power_offset",
    equation="L = E + (Xc / X)^alpha",
    source="Henighan et al. 2020, Eq 1.1",
    variables=("X",),
    parameters=(
        offset(),
        scale("Xc", "X at which the reducible loss would be 1 nat"),
        exponent("alpha", "exponent of the reducible loss", (0.05, 0.1, 0.2, 0.4, 0.8)),
    ),
    function=power_offset,
    log_form=_power_offset_log,
    offset="E",
)

LOGARITHM = Law(
    name="logarithm",
    equation="L = k log(Xc / X)",
    source="Kaplan et al. 2020, appendix D.7, Figure 23",
    variables=("X",),
    parameters=(
        scale("Xc", "X at which the loss would be 0"),
        amplitude("k", "loss per factor e of X, nats", (-4.0, -2.0, 0.0)),
    ),
    function=logarithm,
)

BNSL = Law(
    name="bnsl",
    equation="L = E + b X^-c0 (1 + (X / d1)^(1 / f1))^(-c1 f1)",
    source="Caballero et al. 2022, with one break",
    variables=("X",),
    parameters=(
        offset(logs=(-1, 0.5)),
        amplitude("b", "reducible loss at X = 1 before the break, nats", (1.0, 5.0)),
        exponent("c0", "log-log slope before the break", (0.05, 0.3)),
        exponent("c1", "slope added by the break", (0.05, 0.3)),
        scale("d1", "X of the break", (5.0, 12.0, 18.0, 25.0, 35.0)),
        exponent("f1", "width of the break", (0.2, 1.0)),
    ),
    function=bnsl,
    offset="E",
)

POSITION = Law(
    name="position",
    equation="L = E_T + k T^-p",
    source="Kaplan et al. 2020, appendix D.5, Figure 20",
    variables=("T",),
    parameters=(
        offset("E_T"),
        amplitude("k", "loss of the first position above the limit, nats", (0.0, 2.0)),
        exponent("p", "exponent of the position", (0.2, 0.5, 1.0)),
    ),
    function=position,
    log_form=_position_log,
    offset="E_T",
)

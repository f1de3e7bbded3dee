"""Laws of the loss in parameters N and training tokens D, each token seen once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scaling_lab.science.laws.law import (
    Array,
    Law,
    amplitude,
    exponent,
    log_exponent,
    log_sum,
    offset,
    offset_and_terms,
    scale,
)


def kaplan(N: Any, D: Any, Nc: Any, Dc: Any, alpha_N: Any, alpha_D: Any) -> Any:
    """L = [(Nc / N)^(alpha_N / alpha_D) + Dc / D]^alpha_D."""
    return ((Nc / N) ** (alpha_N / alpha_D) + Dc / D) ** alpha_D


def kaplan_symmetric(N: Any, D: Any, Nc: Any, Dc: Any, alpha_N: Any, alpha_D: Any, beta: Any) -> Any:
    """L = [(Nc / N)^alpha_N + (Dc / D)^alpha_D]^beta."""
    return ((Nc / N) ** alpha_N + (Dc / D) ** alpha_D) ** beta


def hoffmann(N: Any, D: Any, E: Any, A: Any, B: Any, alpha: Any, beta: Any) -> Any:
    """L = E + A / N^alpha + B / D^beta."""
    return E + A / N**alpha + B / D**beta


def gadre(N: Any, D: Any, E: Any, a: Any, b: Any, eta: Any) -> Any:
    """L = E + (a (D / N)^eta + b (D / N)^-eta) (6 N D)^-eta."""
    return E + (a * (D / N) ** eta + b * (D / N) ** -eta) * (6 * N * D) ** -eta


def _kaplan_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    scale_n, scale_d, alpha_n, alpha_d = (theta[:, j : j + 1] for j in range(4))
    distance = scale_n - logs["N"]
    from_size, from_data = alpha_n / alpha_d * distance, scale_d - logs["D"]
    total, share = log_sum(from_size, from_data)
    jacobian = [share * alpha_n, (1 - share) * alpha_d, share * distance, total - share * from_size]
    return alpha_d * total, np.stack(jacobian, axis=1)


def _hoffmann_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    constant, log_a, log_b, alpha, beta = (theta[:, j : j + 1] for j in range(5))
    size, data = log_a - alpha * logs["N"], log_b - beta * logs["D"]
    value, inverse, of_size, of_data = offset_and_terms(constant, size, data)
    jacobian = [inverse, of_size, of_data, of_size * -logs["N"], of_data * -logs["D"]]
    return value, np.stack(jacobian, axis=1)


def _kaplan_symmetric_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    """Exponents in their logarithms: the runs tell alpha_N beta, and the valley along it is straight there.

    As beta grows along it the law becomes (Nc / N)^a exp((D_1 / D)^b); runs that prefer this do not identify beta.
    """
    scale_n, scale_d = theta[:, 0:1], theta[:, 1:2]
    alpha_n, alpha_d, beta = (np.exp(theta[:, j : j + 1]) for j in range(2, 5))
    size, data = alpha_n * (scale_n - logs["N"]), alpha_d * (scale_d - logs["D"])
    total, share = log_sum(size, data)
    inside = [share * alpha_n, (1 - share) * alpha_d, share * size, (1 - share) * data, total]
    return beta * total, np.stack([beta * column for column in inside], axis=1)


def _gadre_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    """a (D / N)^eta (6 N D)^-eta = a (6 N^2)^-eta, and b (6 D^2)^-eta."""
    constant, log_a, log_b, eta = (theta[:, j : j + 1] for j in range(4))
    squares = [np.log(6) + 2 * logs[name] for name in ("N", "D")]
    size, data = log_a - eta * squares[0], log_b - eta * squares[1]
    value, inverse, of_size, of_data = offset_and_terms(constant, size, data)
    return value, np.stack([inverse, of_size, of_data, -of_size * squares[0] - of_data * squares[1]], axis=1)


_AMPLITUDE_STARTS = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
_HOFFMANN_EXPONENTS = (1e-3, 0.5, 1.0, 1.5, 2.0)  # the published 0 is the lower bound here
_KAPLAN_EXPONENTS = (0.03, 0.08, 0.15, 0.3)

KAPLAN = Law(
    name="kaplan",
    equation="L = [(Nc / N)^(alpha_N / alpha_D) + Dc / D]^alpha_D",
    source="Kaplan et al. 2020, Eq 1.5",
    variables=("N", "D"),
    parameters=(
        scale("Nc", "scale of N"),
        scale("Dc", "scale of D, tokens"),
        exponent("alpha_N", "exponent of N for unlimited data", _KAPLAN_EXPONENTS),
        exponent("alpha_D", "exponent of D for unlimited size", _KAPLAN_EXPONENTS),
    ),
    function=kaplan,
    log_form=_kaplan_log,
    derived={"overfitting_exponent": lambda p: p["alpha_N"] / p["alpha_D"]},
)

KAPLAN_SYMMETRIC = Law(
    name="kaplan_symmetric",
    equation="L = [(Nc / N)^alpha_N + (Dc / D)^alpha_D]^beta",
    source="Kaplan et al. 2020, section 4.1, the form it rejects because it has no expansion in 1 / D",
    variables=("N", "D"),
    parameters=(
        scale("Nc", "scale of N", (15.0, 25.0, 35.0)),
        scale("Dc", "scale of D, tokens", (15.0, 25.0, 35.0)),
        log_exponent("alpha_N", "exponent of N inside the bracket", (0.1, 0.3, 0.8)),
        log_exponent("alpha_D", "exponent of D inside the bracket", (0.1, 0.3, 0.8)),
        log_exponent("beta", "outer exponent", (0.1, 0.3, 0.8)),
    ),
    function=kaplan_symmetric,
    log_form=_kaplan_symmetric_log,
)

HOFFMANN = Law(
    name="hoffmann",
    equation="L = E + A / N^alpha + B / D^beta",
    source="Hoffmann et al. 2022, Eq 2 and appendix D.3",
    variables=("N", "D"),
    parameters=(
        offset(),
        amplitude("A", "size term at N = 1, nats", _AMPLITUDE_STARTS),
        amplitude("B", "data term at D = 1, nats", _AMPLITUDE_STARTS),
        exponent("alpha", "exponent of N", _HOFFMANN_EXPONENTS),
        exponent("beta", "exponent of D", _HOFFMANN_EXPONENTS),
    ),
    function=hoffmann,
    log_form=_hoffmann_log,
    derived={
        "a": lambda p: p["beta"] / (p["alpha"] + p["beta"]),
        "b": lambda p: p["alpha"] / (p["alpha"] + p["beta"]),
        "G": lambda p: (p["alpha"] * p["A"] / (p["beta"] * p["B"])) ** (1 / (p["alpha"] + p["beta"])),
        "loss_exponent": lambda p: p["alpha"] * p["beta"] / (p["alpha"] + p["beta"]),
    },
    offset="E",
)

GADRE = Law(
    name="gadre",
    equation="L = E + (a (D / N)^eta + b (D / N)^-eta) (6 N D)^-eta",
    source="Gadre et al. 2024, over-training; the Hoffmann law with alpha = beta = 2 eta, a = A 6^eta, b = B 6^eta",
    variables=("N", "D"),
    parameters=(
        offset(),
        amplitude("a", "size term at C = 1 and D = N, nats", _AMPLITUDE_STARTS),
        amplitude("b", "data term at C = 1 and D = N, nats", _AMPLITUDE_STARTS),
        exponent("eta", "exponent of C at a fixed ratio D / N", (0.05, 0.15, 0.3, 0.6)),
    ),
    function=gadre,
    log_form=_gadre_log,
    derived={
        "alpha": lambda p: 2 * p["eta"],
        "A": lambda p: p["a"] * 6 ** -p["eta"],
        "B": lambda p: p["b"] * 6 ** -p["eta"],
    },
    offset="E",
)

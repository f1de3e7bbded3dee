"""Laws of limited data: repeated tokens (Muennighoff et al. 2023) and transferred ones (Hernandez et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scaling_lab.science.laws.law import Array, Law, Parameter, amplitude, exponent, offset, offset_and_terms, scale


def data_constrained(N: Any, D: Any, U: Any, E: Any, A: Any, B: Any, alpha: Any, beta: Any, R_N: Any, R_D: Any) -> Any:
    """L = E + A / N'^alpha + B / D'^beta."""
    return (
        E
        + A / effective_params(N, optimal_params(_smaller(U, D), A, B, alpha, beta), R_N) ** alpha
        + B / effective_tokens(D, U, R_D) ** beta
    )


def effective_tokens(D: Any, U: Any, R_D: Any) -> Any:
    """D' = U_D + U_D R_D (1 - exp(-(D / U_D - 1) / R_D)), U_D = min(U, D).

    What D tokens, of which U are unique, are worth in unique ones; R_D (the paper's R_D*) is the number of repetitions
    after which a further one is worth 1/e. At most U (1 + R_D).
    """
    unique = _smaller(U, D)
    return unique * (1 - R_D * np.expm1(-(D / unique - 1) / R_D))  # expm1: exact when R_D is large


def effective_params(N: Any, useful: Any, R_N: Any) -> Any:
    """N' = U_N + U_N R_N (1 - exp(-(N / U_N - 1) / R_N)), U_N = min(useful, N): the same for parameters.

    useful: the compute-optimal size for the unique tokens.
    """
    return effective_tokens(N, useful, R_N)


def optimal_params(D: Any, A: Any, B: Any, alpha: Any, beta: Any) -> Any:
    """N_opt(D) = (D G)^(beta / alpha) G, the size whose optimal data are D (Muennighoff et al. 2023)."""
    ratio = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    return (D * ratio) ** (beta / alpha) * ratio


def transfer(D_F: Any, N: Any, k: Any, alpha: Any, beta: Any) -> Any:
    """D_T = k D_F^alpha N^beta."""
    return k * D_F**alpha * N**beta


def _smaller(left: Any, right: Any) -> Any:
    """The minimum by real part, so that a complex step passes through."""
    return np.where(np.real(left) < np.real(right), left, right)


def _data_constrained_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    constant, log_a, log_b, alpha, beta, log_rn, log_rd = (theta[:, j : j + 1] for j in range(7))
    unique = np.minimum(logs["U"], logs["D"])
    useful, useful_slopes = _optimal_params_log(log_a, log_b, alpha, beta, unique)
    params, of_useful, of_rn = _worth_log(logs["N"], np.minimum(useful, logs["N"]), log_rn)
    tokens, _, of_rd = _worth_log(logs["D"], unique, log_rd)
    pull = np.where(useful < logs["N"], of_useful, 0.0)
    size, data = log_a - alpha * params, log_b - beta * tokens
    value, inverse, of_size, of_data = offset_and_terms(constant, size, data)
    by_a, by_b, by_alpha, by_beta = (-of_size * alpha * pull * slope for slope in useful_slopes)
    jacobian = [
        inverse, of_size + by_a, of_data + by_b, by_alpha - of_size * params, by_beta - of_data * tokens,
        -of_size * alpha * of_rn, -of_data * beta * of_rd,
    ]  # fmt: skip
    return value, np.stack(jacobian, axis=1)


def _optimal_params_log(
    log_a: Array, log_b: Array, alpha: Array, beta: Array, data: Array
) -> tuple[Array, tuple[Array, ...]]:
    """log N_opt at log D, and its derivatives by log A, log B, alpha and beta."""
    both = alpha + beta
    log_g = (np.log(alpha / beta) + log_a - log_b) / both
    slopes = (
        1 / alpha,
        -1 / alpha,
        (1 / alpha - log_g) / alpha - beta / alpha**2 * (log_g + data),
        (-1 / beta - log_g) / alpha + (log_g + data) / alpha,
    )
    return both / alpha * log_g + beta / alpha * data, slopes


def _worth_log(used: Array, unique: Array, log_r: Array) -> tuple[Array, Array, Array]:
    """log of the effective number, and its derivatives by log unique and by log R; all inputs are logarithms."""
    repeats, r = np.expm1(used - unique), np.exp(log_r)
    decay, faded = np.exp(-repeats / r), -np.expm1(-repeats / r)
    worth = 1 + r * faded
    by_unique = 1 - decay * (1 + repeats) / worth
    return unique + np.log(worth), by_unique, (r * faded - repeats * decay) / worth


# Beyond these nothing is left to tell: repetitions are worth nothing at the first, as much as new data at the last.
_DECAY_BOUNDS = (float(np.log(1e-3)), float(np.log(1e5)))

DATA_CONSTRAINED = Law(
    name="data_constrained",
    equation="L = E + A / N'^alpha + B / D'^beta",
    source="Muennighoff et al. 2023; N' and D' are what N and D are worth when only U tokens are unique",
    variables=("N", "D", "U"),
    parameters=(
        offset(logs=(-0.5, 0.5)),
        amplitude("A", "size term at N' = 1, nats", (2.0, 6.0, 12.0)),
        amplitude("B", "data term at D' = 1, nats", (2.0, 6.0, 12.0)),
        exponent("alpha", "exponent of N'", (0.2, 0.5)),
        exponent("beta", "exponent of D'", (0.2, 0.5)),
        Parameter("R_N", "R_N*, excess of parameters that decays by e", True, _DECAY_BOUNDS, (0.7, 2.3)),
        Parameter("R_D", "R_D*, repetitions of data that decay by e", True, _DECAY_BOUNDS, (0.7, 2.3)),
    ),
    function=data_constrained,
    log_form=_data_constrained_log,
    offset="E",
)

TRANSFER = Law(
    name="transfer",
    equation="D_T = k D_F^alpha N^beta",
    source="Hernandez et al. 2021: tokens that a model from scratch would need beyond the D_F it is fine-tuned on",
    variables=("D_F", "N"),
    parameters=(
        scale("k", "coefficient, tokens", (0.0, 10.0, 20.0)),
        exponent("alpha", "exponent of the fine-tuning tokens", (0.1, 0.3, 0.8)),
        exponent("beta", "exponent of the parameters", (0.1, 0.3, 0.8)),
    ),
    function=transfer,
    response="effective data transferred, tokens",
)

"""Laws of limited data: repeated tokens (Muennighoff et al. 2023) and transferred ones (Hernandez et al. 2021)."""

from __future__ import annotations

from typing import Any

import numpy as np

from scaling_lab.science.laws.law import Law, amplitude, exponent, offset, scale


def data_constrained(N: Any, D: Any, U: Any, E: Any, A: Any, B: Any, alpha: Any, beta: Any, R_N: Any, R_D: Any) -> Any:
    """L = E + A / N'^alpha + B / D'^beta."""
    return (
        E
        + A / effective_params(N, optimal_params(U, A, B, alpha, beta), R_N) ** alpha
        + B / effective_tokens(D, U, R_D) ** beta
    )


def effective_tokens(D: Any, U: Any, R_D: Any) -> Any:
    """D' = U_D + U_D R_D (1 - exp(-(D / U_D - 1) / R_D)), U_D = min(U, D).

    What D tokens, of which U are unique, are worth in unique ones; R_D (the paper's R_D*) is the number of repetitions
    after which a further one is worth 1/e. At most U (1 + R_D).
    """
    unique = _smaller(U, D)
    return unique * (1 + R_D * (1 - np.exp(-(D / unique - 1) / R_D)))


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
        amplitude("R_N", "R_N*, excess of parameters that decays by e", (0.7, 2.3)),
        amplitude("R_D", "R_D*, repetitions of data that decay by e", (0.7, 2.3)),
    ),
    function=data_constrained,
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

"""Hoffmann's law seen through Kaplan's counting: non-embedding parameters and compute (Pearce and Song 2024).

`law` holds the parameters of the `hoffmann` law in total parameters; N_E counts without embeddings, C_E = 6 N_E D.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def embedding_coefficient(vocab_size: float, aspect: float) -> float:
    """gamma = V (aspect / 12)^(1/3), aspect = d_model / n_layer: N_T - N_E = V d_model = gamma N_E^(1/3)."""
    return float(vocab_size * (aspect / 12) ** (1 / 3))


def total_params(N_E: Any, gamma: Any) -> Any:
    """N_T = N_E + gamma N_E^(1/3)."""
    return N_E + gamma * N_E ** (1 / 3)


def optimal_compute(N_E: Any, gamma: Any, law: Mapping[str, Any]) -> Any:
    """The FLOPs C_E for which N_E is the best size.

    6 N_E (N_E + gamma/3 N_E^(1/3))^(-1/beta) (N_E + gamma N_E^(1/3))^((1 + alpha)/beta) (beta B / (alpha A))^(1/beta).
    """
    alpha, beta = law["alpha"], law["beta"]
    slope = total_params(N_E, gamma / 3) ** (-1 / beta)  # N_E dN_T/dN_E
    size = total_params(N_E, gamma) ** ((1 + alpha) / beta)
    return 6 * N_E * slope * size * (beta * law["B"] / (alpha * law["A"])) ** (1 / beta)


def local_exponent(N_E: Any, gamma: Any, law: Mapping[str, Any]) -> Any:
    """g = d log N_E / d log C_E at the optimum.

    1/g = 1 - (u + gamma/9) / (u + gamma/3) / beta + (1 + alpha) / beta (u + gamma/3) / (u + gamma), u = N_E^(2/3).
    """
    u, alpha, beta = N_E ** (2 / 3), law["alpha"], law["beta"]
    slope, size = (u + gamma / 9) / (u + gamma / 3), (u + gamma / 3) / (u + gamma)
    return 1 / (1 - slope / beta + (1 + alpha) / beta * size)


def small_model_exponent(law: Mapping[str, Any]) -> Any:
    """beta / (alpha/3 + beta): g where embeddings are all there is."""
    return law["beta"] / (law["alpha"] / 3 + law["beta"])

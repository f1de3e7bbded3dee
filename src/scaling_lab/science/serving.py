"""The model that reaches a loss at the least cost of training and serving together (Sardana et al. 2023).

A smaller model on more data reaches the same loss; it costs more to train than the compute-optimal one and less per
token to serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.science.laws import Array
from scaling_lab.science.optimum import minimise

_WIDTH = 25.0  # of the search in log N above the smallest size that can reach the loss


@dataclass(frozen=True)
class ServingOptimum:
    """N, D and the FLOPs of training (6 N D) and inference (2 N D_inf); NaN where no size reaches the loss."""

    params: Array
    tokens: Array
    training_flops: Array
    inference_flops: Array

    @property
    def total_flops(self) -> Array:
        """Training and inference together."""
        return self.training_flops + self.inference_flops


def tokens_to_reach(parameters: Mapping[str, Any], loss: Any, params: Any) -> Array:
    """D at which the Hoffmann law gives `loss` at N = params: [B / (L - E - A / N^alpha)]^(1 / beta); NaN if never."""
    left = np.asarray(loss - parameters["E"] - parameters["A"] / params ** parameters["alpha"], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(left > 0, (parameters["B"] / left) ** (1 / np.asarray(parameters["beta"])), np.nan)


def serving_optimum(parameters: Mapping[str, Any], loss: Any, inference_tokens: float) -> ServingOptimum:
    """Minimise 6 N D + 2 N D_inf over N and D at fixed loss of the Hoffmann law (Sardana et al. 2023, Eq 2).

    parameters: numbers or arrays of draws, which broadcast against `loss` (nats). inference_tokens: D_inf, 0 or more;
    at 0 the answer is the compute-optimal model of that loss.
    """
    reducible = np.asarray(loss - parameters["E"], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = parameters["A"] / np.where(reducible > 0, reducible, np.nan)
        smallest = np.log(ratio) / np.asarray(parameters["alpha"])

    def cost(log_n: Array) -> Array:
        size = np.exp(log_n)
        total = size * (6 * tokens_to_reach(parameters, loss, size) + 2 * inference_tokens)
        return np.where(np.isfinite(total), total, np.inf)

    size = np.exp(minimise(cost, smallest, smallest + _WIDTH))
    data = tokens_to_reach(parameters, loss, size)
    return ServingOptimum(size, data, 6 * size * data, 2 * size * inference_tokens + 0 * data)

"""The compute-optimal size and data: closed form of the Hoffmann law for C = 6 N D, numerical for any law and cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.science.laws import Array, hoffmann

_GOLDEN = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Optimum:
    """N*, D* and the predicted loss; arrays of the draws' shape. `at_edge` marks draws whose N* is the range's end."""

    params: Array
    tokens: Array
    loss: Array
    at_edge: Any


def closed_form_optimum(parameters: Mapping[str, Any], flops: Any) -> Optimum:
    """N* = G (C/6)^a, D* = (C/6)^b / G (Hoffmann et al. 2022, Eq 4), for C = 6 N D."""
    alpha, beta = np.asarray(parameters["alpha"]), np.asarray(parameters["beta"])
    log_g = np.log(alpha * parameters["A"] / (beta * parameters["B"])) / (alpha + beta)
    log_work = np.log(np.asarray(flops) / 6)
    size = np.exp(log_g + beta / (alpha + beta) * log_work)
    data = np.exp(-log_g + alpha / (alpha + beta) * log_work)
    return Optimum(size, data, np.asarray(hoffmann(size, data, **parameters)), np.zeros_like(size, dtype=bool))


def numerical_optimum(
    parameters: Mapping[str, Any],
    flops: Any,
    flops_per_token: Callable[[Array], Array],
    params_range: tuple[float, float],
    function: Callable[..., Any] = hoffmann,
) -> Optimum:
    """Minimise the loss over N where D = C / flops_per_token(N), for every draw at once.

    parameters: each a number or an array; they broadcast against `flops`. flops_per_token maps N (any shape) to
    training FLOPs per token, increasing. params_range bounds N. function(N, D, **parameters) is the loss.
    """
    shape = np.broadcast_shapes(*(np.shape(value) for value in parameters.values()), np.shape(flops))

    def loss(log_n: Array) -> Array:
        size = np.exp(log_n)
        return np.asarray(function(size, np.asarray(flops) / flops_per_token(size), **parameters))

    log_n = minimise(loss, *(np.full(shape, np.log(end)) for end in params_range))
    size = np.exp(log_n)
    margin = 1e-3
    edge = (log_n < np.log(params_range[0]) + margin) | (log_n > np.log(params_range[1]) - margin)
    return Optimum(size, np.asarray(flops) / flops_per_token(size), loss(log_n), edge)


def minimise(function: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """The argument in [low, high] that minimises `function`, elementwise: a scan for the dip, then golden section."""
    return _golden_section(function, *_bracket(function, low, high))


def _bracket(loss: Callable[[Array], Array], low: Array, high: Array, steps: int = 64) -> tuple[Array, Array]:
    """Narrow to the neighbours of the best of `steps` log-spaced sizes, so that the deepest dip is found."""
    fractions = np.linspace(0, 1, steps)
    losses = np.stack([loss(low + f * (high - low)) for f in fractions])
    best = np.argmin(losses, axis=0)
    width = high - low
    return low + fractions[np.maximum(best - 1, 0)] * width, low + fractions[np.minimum(best + 1, steps - 1)] * width


def _golden_section(loss: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Vectorised golden-section search; 45 steps shrink the bracket by 4e-10."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(45):
        smaller = at_left < at_right
        high, low = np.where(smaller, right, high), np.where(smaller, low, left)
        new_left, new_right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        fresh = loss(np.where(smaller, new_left, new_right))
        at_left, at_right = np.where(smaller, fresh, at_right), np.where(smaller, at_left, fresh)
        left, right = new_left, new_right
    return (low + high) / 2

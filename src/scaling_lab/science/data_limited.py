"""The compute-optimal model where unique tokens are limited and further ones repeat (Muennighoff et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.science.laws import Array, data_constrained
from scaling_lab.science.optimum import Optimum, numerical_optimum
from scaling_lab.science.published import PUBLISHED

PUBLISHED_REPETITION: Mapping[str, float] = {name: PUBLISHED["muennighoff"].values[name] for name in ("R_D", "R_N")}
"""R_D* and R_N* of Muennighoff et al. 2023: 182 runs of 7M to 9B parameters, 1 to 500 epochs of C4 and OSCAR."""

PARAMS_RANGE = (1e3, 1e16)


def six_n(params: Any) -> Any:
    """6 N training FLOPs per token."""
    return 6 * params


@dataclass(frozen=True)
class DataLimitedOptimum:
    """The optimum with at most `available` unique tokens: how many of them are read, and how often."""

    optimum: Optimum
    available: float

    @property
    def unique_tokens(self) -> Array:
        """Unique tokens that are read, at most those available."""
        return np.minimum(self.available, self.optimum.tokens)

    @property
    def epochs(self) -> Array:
        """Passes over the unique tokens."""
        return np.asarray(self.optimum.tokens / self.unique_tokens)


def data_limited_optimum(
    parameters: Mapping[str, Any],
    flops: float,
    unique_tokens: float,
    repetition: Mapping[str, Any] = PUBLISHED_REPETITION,
    flops_per_token: Callable[[Any], Any] = six_n,
    params_range: tuple[float, float] = PARAMS_RANGE,
) -> DataLimitedOptimum:
    """Minimise the data-constrained law over N where D = C / flops_per_token(N) and `unique_tokens` are unique.

    parameters: E, A, B, alpha and beta of the Hoffmann law, numbers or draws. repetition: R_D and R_N. Where the
    compute-optimal D of the Hoffmann law is no more than `unique_tokens`, nothing repeats and both laws agree.
    """

    def loss(N: Any, D: Any, **law: Any) -> Any:
        return data_constrained(N, D, unique_tokens, **law)

    law = {**parameters, **repetition}
    found = numerical_optimum(law, flops, flops_per_token, params_range, loss)
    return DataLimitedOptimum(found, unique_tokens)

"""The laws that a paper published, as a ground truth to plant: what a run of N, D, B and S would measure.

A paper's laws need not agree with each other, and Kaplan's do not: at N = 85e6 and unlimited data Table 2 gives 2.797
nats and Table 3 gives 2.838. Each is planted where the paper measured it (its Table 4): the end of a run on D tokens,
stopped when its test loss no longer fell, follows L(N, D); the training curve follows L(N, S_min).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scaling_lab.science.batch import steps_at_large_batch
from scaling_lab.science.laws import Array, critical_batch, kaplan, kaplan_steps
from scaling_lab.science.published import ALLOCATIONS, PUBLISHED

# WebText2: 96 GB of text are 2.29e10 tokens (Kaplan et al. 2020, section 2.3).
BYTES_PER_TOKEN = 96e9 / 2.29e10
# GPT-2's vocabulary: a model that knows nothing loses the logarithm of it.
VOCABULARY = 50257
BATCH = 2**19  # tokens a step of the paper's runs
_HALVINGS = 60  # of the interval that holds the loss: below the last bit of a double


@dataclass(frozen=True)
class PlantedLaws:
    """`surface`: parameters of L(N, D), Eq 1.5; `steps`: of L(N, S_min), Eq 1.6; `batch`: of B_crit(L), Eq 1.4.

    N is non-embedding parameters, D tokens, B tokens per step; losses are nats per token. From `ample_tokens` on data,
    and on less of them from `ample_params` on size, are taken for unlimited.
    """

    source: str
    surface: Mapping[str, float]
    steps: Mapping[str, float]
    batch: Mapping[str, float]
    ample_params: float = np.inf
    ample_tokens: float = np.inf

    def final_loss(self, params: float, tokens: float) -> float:
        """L(N, D): the loss at the end of a run on `tokens` unique tokens (Eq 1.5)."""
        if tokens >= self.ample_tokens:
            tokens = np.inf
        elif params >= self.ample_params:
            params = np.inf
        return float(kaplan(params, tokens, **self.surface))

    def critical_batch(self, loss: Array) -> Array:
        """B_crit(L) in tokens (Eq 1.4); the gradient noise scale is taken to be the same."""
        return np.asarray(critical_batch(loss, **self.batch))

    def training_loss(self, params: float, steps: Array, batch: float) -> Array:
        """L(N, S_min) with S_min = S / (1 + B_crit(L) / B), solved for L (Eq 1.6 and 5.4); shape of `steps`.

        The right-hand side falls as L grows, so the two meet once.
        """
        low = np.zeros(steps.shape)  # of log L
        high = np.full(steps.shape, np.log(kaplan_steps(params, 1e-9, **self.steps)))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            fewest = steps_at_large_batch(steps, batch, self.critical_batch(np.exp(middle)))
            above = np.log(kaplan_steps(params, fewest, **self.steps)) > middle
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.asarray(np.exp((low + high) / 2))


def _limits() -> dict[str, float]:
    """Eq 1.5 with the constants of L(N) and L(D) of Table 5, which it becomes for unlimited data or size."""
    params, tokens = PUBLISHED["kaplan_params"].values, PUBLISHED["kaplan_tokens"].values
    return {"Nc": params["Xc"], "alpha_N": params["alpha"], "Dc": tokens["Xc"], "alpha_D": tokens["alpha"]}


def _steps_of_table_6() -> dict[str, float]:
    """L(N, S_min) whose best use of compute is Tables 5 and 6, which Table 3 is not: its exponent of N is 0.68.

    L(C_min), N(C_min) and B_crit(L) are as printed; S_min takes the compute that they leave (Eq B.5 to B.10).
    """
    compute, batch = PUBLISHED["kaplan_compute"].values, PUBLISHED["kaplan_batch"].values
    size = ALLOCATIONS["kaplan_params"]
    alpha_N = compute["alpha"] / size.exponent
    alpha_S = compute["alpha"] / (1 - size.exponent - compute["alpha"] / batch["alpha_B"])
    above = 1 + alpha_N / alpha_S
    loss = (compute["Xc"] / size.unit) ** compute["alpha"]
    steps = size.unit / (6 * size.coefficient * batch["B_star"] / loss ** (1 / batch["alpha_B"]))
    return {
        "Nc": size.coefficient * (loss / above) ** (1 / alpha_N),
        "Sc": steps * (loss - loss / above) ** (1 / alpha_S),
        "alpha_N": alpha_N,
        "alpha_S": alpha_S,
    }


def _steps_of_fixed_batch() -> dict[str, float]:
    """L(N, S) whose best use of compute at a batch of 2^19 tokens is the naive row of Table 5 and Figure 14's N(C)."""
    compute, size = PUBLISHED["kaplan_compute_naive"].values, ALLOCATIONS["kaplan_params_naive"]
    alpha_N, alpha_S = compute["alpha"] / size.exponent, compute["alpha"] / (1 - size.exponent)
    loss = (compute["Xc"] / size.unit) ** compute["alpha"]
    steps = size.unit / (6 * size.coefficient * BATCH)
    above = 1 + alpha_N / alpha_S  # the loss over its part that falls with N, where C = 6 N B S is spent best
    return {
        "Nc": size.coefficient * (loss / above) ** (1 / alpha_N),
        "Sc": steps * (loss - loss / above) ** (1 / alpha_S),
        "alpha_N": alpha_N,
        "alpha_S": alpha_S,
    }


# Where the paper reads L(N) and L(D): models of 1.5e9 parameters on all of WebText2, 7.1e8 parameters on parts of it.
_AMPLE = {"ample_params": 7e8, "ample_tokens": 2.2e10}

PLANTED: Mapping[str, PlantedLaws] = {
    "kaplan2020": PlantedLaws(
        "Kaplan et al. 2020: L(N, D) of Table 2, L(N, S_min) of Table 3, B_crit(L) of Table 5",
        PUBLISHED["kaplan"].values,
        PUBLISHED["kaplan_steps"].values,
        PUBLISHED["kaplan_batch"].values,
    ),
    "kaplan2020_table5": PlantedLaws(
        "Kaplan et al. 2020: L(N), L(D) and B_crit(L) of Table 5, joined by Eq 1.5; L(N, S_min) of Table 3",
        _limits(),
        PUBLISHED["kaplan_steps"].values,
        PUBLISHED["kaplan_batch"].values,
        **_AMPLE,
    ),
    "kaplan2020_naive": PlantedLaws(
        "Kaplan et al. 2020: L(N) and L(D) of Table 5, joined by Eq 1.5, and training curves whose best use of compute"
        " at 2^19 tokens a step is the naive L(C) of Table 5 and N(C) of Figure 14; no batch is critical",
        _limits(),
        _steps_of_fixed_batch(),
        {**PUBLISHED["kaplan_batch"].values, "B_star": 1.0},
        **_AMPLE,
    ),
    "kaplan2020_table6": PlantedLaws(
        "Kaplan et al. 2020: L(N), L(D) and B_crit(L) of Table 5, and training curves whose best use of compute is"
        " L(C_min) of Table 5 and N(C_min) of Table 6",
        _limits(),
        _steps_of_table_6(),
        PUBLISHED["kaplan_batch"].values,
        **_AMPLE,
    ),
}
"""Every set of laws that `simulate` may name."""

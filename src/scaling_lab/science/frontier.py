"""Compute-optimal training by Kaplan's appendix B: from L(N, S_min) and B_crit(L) to the best use of C FLOPs.

Training is at the critical batch throughout, C = 6 N B S. FLOPs in, parameters, steps and tokens out.
"""

# ruff: noqa: N802, N815 - the paper's letters

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq

from scaling_lab.science.laws import Array, critical_batch, power

PRINTED_ALPHA_C = {"eq_6_4": 0.054, "eq_b_7": 0.052}
"""What Kaplan prints for alpha_C; only the second follows from its constants."""

_NEWTON_STEPS = 60  # the iteration is monotone and quadratic; a loss within rounding takes about ten


@dataclass(frozen=True)
class TrainingLaw:
    """The constants of L = (Nc / N)^alpha_N + (Sc / S_min)^alpha_S and of B_crit = B_star / L^(1 / alpha_B)."""

    Nc: float
    Sc: float
    alpha_N: float
    alpha_S: float
    B_star: float
    alpha_B: float

    @property
    def ratio(self) -> float:
        """r = alpha_N / alpha_S: the optimum lies a factor 1 + r above the converged loss (Eq B.5)."""
        return self.alpha_N / self.alpha_S

    @property
    def alpha_C(self) -> float:
        """1 / (1 / alpha_S + 1 / alpha_B + 1 / alpha_N) (Eq B.7, 6.4)."""
        return 1 / (1 / self.alpha_S + 1 / self.alpha_B + 1 / self.alpha_N)

    @property
    def Cc(self) -> float:
        """Scale of L(C): 6 Nc B* Sc (1 + r)^(1 / alpha_S + 1 / alpha_N) r^(-1 / alpha_S) FLOPs (Eq B.8)."""
        r = self.ratio
        growth = (1 + r) ** (1 / self.alpha_S + 1 / self.alpha_N)
        return float(6 * self.Nc * self.B_star * self.Sc * growth * (1 / r) ** (1 / self.alpha_S))

    @property
    def exponents(self) -> dict[str, float]:
        """Powers of C that N, B, S and D = B S grow by; those of N, B and S sum to 1."""
        of = {"N": self.alpha_N, "B": self.alpha_B, "S": self.alpha_S}
        powers = {name: self.alpha_C / alpha for name, alpha in of.items()}
        return {**powers, "D": powers["B"] + powers["S"]}

    def loss(self, flops: Any) -> Any:
        """L(C) = (Cc / C)^alpha_C (Eq B.6)."""
        return power(flops, self.Cc, self.alpha_C)

    def params(self, flops: Any) -> Any:
        """N = Nc (C / Cc)^(alpha_C / alpha_N) (1 + r)^(1 / alpha_N) (Eq B.9)."""
        return self.Nc * (flops / self.Cc) ** (self.alpha_C / self.alpha_N) * (1 + self.ratio) ** (1 / self.alpha_N)

    def steps(self, flops: Any) -> Any:
        """S = Cc / (6 Nc B*) (1 + r)^(-1 / alpha_N) (C / Cc)^(alpha_C / alpha_S) (Eq B.10)."""
        scale = self.Cc / (6 * self.Nc * self.B_star) * (1 + self.ratio) ** (-1 / self.alpha_N)
        return scale * (flops / self.Cc) ** (self.alpha_C / self.alpha_S)

    def batch(self, flops: Any) -> Any:
        """B_crit at the loss of the frontier, tokens."""
        return critical_batch(self.loss(flops), self.B_star, self.alpha_B)

    def converged_loss(self, params: Any) -> Any:
        """L(N, inf) = (Nc / N)^alpha_N."""
        return power(params, self.Nc, self.alpha_N)

    def flops_to_reach(self, params: Any, loss: Any) -> Any:
        """C(N, L) = 6 B* Sc N L^(-1 / alpha_B) (L - (Nc / N)^alpha_N)^(-1 / alpha_S) (Eq B.15).

        NaN where N parameters never reach L.
        """
        above = np.asarray(loss - self.converged_loss(params), dtype=float)
        reachable = np.where(above > 0, above, np.nan)
        return 6 * critical_batch(loss, self.B_star, self.alpha_B) * self.Sc * params * reachable ** (-1 / self.alpha_S)

    def loss_at(self, params: Any, flops: Any) -> Array:
        """The loss of N parameters after C FLOPs, which solves Eq B.1:

        L = (Nc / N)^alpha_N + (6 B* Sc N / (L^(1 / alpha_B) C))^alpha_S. Newton from below, where it is monotone.
        """
        floor, q = self.converged_loss(params), self.alpha_S / self.alpha_B
        work = (6 * self.B_star * self.Sc * params / flops) ** self.alpha_S
        loss = np.maximum(floor, work ** (1 / (1 + q))) + np.zeros(np.broadcast(params, flops).shape)
        for _ in range(_NEWTON_STEPS):
            loss = loss + (floor + work * loss**-q - loss) / (1 + q * work * loss ** (-q - 1))
        return np.asarray(loss)

    def size_band(self, excess: float) -> tuple[float, float]:
        """The sizes, in units of the optimal one, that cost `excess` more compute (0.2: a fifth more)."""
        smallest = smallest_size(self.alpha_N, self.ratio)

        def over(x: float) -> float:
            return float(size_compute_cost(x, self.alpha_N, self.alpha_S)) - 1 - excess

        upper = 2.0
        while over(upper) < 0:
            upper *= 2
        return float(brentq(over, smallest * (1 + 1e-9), 1)), float(brentq(over, 1, upper))


def stopping_ratios(above: Any, other: Any, alpha_N: Any, alpha_S: Any) -> dict[str, Any]:
    """Stopping a fraction f above the converged loss against f', to the same loss (Eq B.11 to B.14).

    N: [(1 + f) / (1 + f')]^(1 / alpha_N); S: [(1 + 1/f) / (1 + 1/f')]^(1 / alpha_S); C: their product.
    """
    size = ((1 + above) / (1 + other)) ** (1 / alpha_N)
    steps = ((1 + 1 / above) / (1 + 1 / other)) ** (1 / alpha_S)
    return {"N": size, "S": steps, "C": size * steps}


def size_steps_cost(x: Any, alpha_N: Any, alpha_S: Any) -> Any:
    """S / S_eff = [1 + (1 - x^-alpha_N) / r]^(-1 / alpha_S) for x = N / N_eff (Eq B.17), at equal loss.

    NaN at and below the size that never reaches the loss, x = (1 + r)^(-1 / alpha_N).
    """
    bracket = np.asarray(1 + alpha_S / alpha_N * (1 - x**-alpha_N), dtype=float)
    return np.where(bracket > 0, bracket, np.nan) ** (-1 / alpha_S)


def size_compute_cost(x: Any, alpha_N: Any, alpha_S: Any) -> Any:
    """C / C_eff = x S / S_eff (Eq B.16)."""
    return x * size_steps_cost(x, alpha_N, alpha_S)


def smallest_size(alpha_N: Any, ratio: Any) -> Any:
    """(1 + r)^(-1 / alpha_N): the size, in units of the optimal one, whose converged loss is the target."""
    return (1 + ratio) ** (-1 / alpha_N)

"""What limited data cost by Kaplan's L(N, D), and how much data or how many steps that bounds (sections 4 and 5.3).

`law` holds the parameters of the `kaplan` law: Nc, Dc, alpha_N, alpha_D.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scaling_lab.science.laws import kaplan, power


def overfit_ratio(loss: Any, unlimited: Any) -> Any:
    """dL = L(N, D) / L(N, inf) - 1 (Kaplan et al. 2020, Eq 4.2)."""
    return loss / unlimited - 1


def overfit_excess(N: Any, D: Any, law: Mapping[str, Any]) -> Any:
    """dL = [1 + (N / Nc)^(alpha_N / alpha_D) Dc / D]^alpha_D - 1 (Eq 4.3), which for this law is Eq 4.2 itself."""
    share = (N / law["Nc"]) ** (law["alpha_N"] / law["alpha_D"]) * law["Dc"] / D
    return (1 + share) ** law["alpha_D"] - 1


def tokens_for_relative_excess(N: Any, excess: Any, law: Mapping[str, Any]) -> Any:
    """D at which dL = `excess`, the relative reading of Eq 4.4: proportional to N^(alpha_N / alpha_D).

    Eq 4.4 rounds it to 5e3 N^0.74 for an excess of 0.02.
    """
    share = (1 + excess) ** (1 / law["alpha_D"]) - 1
    return law["Dc"] * (N / law["Nc"]) ** (law["alpha_N"] / law["alpha_D"]) / share


def tokens_for_relative_excess_printed(N: Any) -> Any:
    """5e3 N^0.74, Eq 4.4 as printed."""
    return 5e3 * N**0.74


def tokens_for_absolute_excess(N: Any, nats: Any, law: Mapping[str, Any]) -> Any:
    """D at which L(N, D) - L(N, inf) = `nats`, the absolute reading of Eq 4.4; not a power of N."""
    return tokens_for_relative_excess(N, nats / power(N, law["Nc"], law["alpha_N"]), law)


def early_stopping_bound(loss: Any, unlimited: Any, Sc: Any, alpha_S: Any) -> Any:
    """S_stop >= Sc / [L(N, D) - L(N, inf)]^(1 / alpha_S): the earliest step at which the test loss turns (Eq 5.7).

    Sc and alpha_S are those of the `kaplan_steps` law; steps are those of an unlimited batch.
    """
    return Sc / (loss - unlimited) ** (1 / alpha_S)


def early_stopping_bound_of_law(N: Any, D: Any, law: Mapping[str, Any], Sc: Any, alpha_S: Any) -> Any:
    """Eq 5.7 with both losses from the `kaplan` law."""
    unlimited = power(N, law["Nc"], law["alpha_N"])
    return early_stopping_bound(kaplan(N, D, **law), unlimited, Sc, alpha_S)

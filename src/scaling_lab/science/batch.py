"""Relations of batch, steps and tokens: the critical batch, what a finite batch costs, and the gradient noise scale.

Units: B tokens per step, S steps, E = B S tokens processed, C FLOPs; `critical` is B_crit at the loss reached.
"""

from __future__ import annotations

from typing import Any


def steps_at_large_batch(steps: Any, batch: Any, critical: Any) -> Any:
    """S_min = S / (1 + B_crit / B): the steps that an unlimited batch would take (Kaplan et al. 2020, Eq 5.4)."""
    return steps / (1 + critical / batch)


def compute_at_small_batch(flops: Any, batch: Any, critical: Any) -> Any:
    """C_min = C / (1 + B / B_crit): the FLOPs that a small batch would take (Kaplan et al. 2020, Eq 5.5).

    S_min / S + C_min / C = 1.
    """
    return flops / (1 + batch / critical)


def steps_for_tokens(tokens: Any, fewest_steps: Any, fewest_tokens: Any) -> Any:
    """S with (S / S_min - 1)(E / E_min - 1) = 1 (Kaplan et al. 2020, Eq 5.1), for E > E_min tokens processed."""
    return fewest_steps * (1 + 1 / (tokens / fewest_tokens - 1))


def gradient_noise(small: Any, large: Any, small_batch: float, large_batch: float) -> tuple[Any, Any]:
    """Unbiased |G|^2 and tr(Sigma) from squared gradient norms at two batches (McCandlish et al. 2018).

    small, large: |G_b|^2 and |G_B|^2 of the gradient of the mean loss. Both estimates are noisy and the first may be
    negative: smooth each over steps, then divide: B_simple = tr(Sigma) / |G|^2, in the unit of the batches.

    Raises:
        ValueError: the batches are not different.
    """
    if small_batch >= large_batch:
        raise ValueError(f"small_batch is {small_batch}; allowed: less than large_batch, {large_batch}")
    signal = (large_batch * large - small_batch * small) / (large_batch - small_batch)
    noise = (small - large) / (1 / small_batch - 1 / large_batch)
    return signal, noise


def doubling_factor(alpha_B: Any) -> Any:
    """The factor of the loss at which B_crit = B* / L^(1 / alpha_B) doubles: 2^-alpha_B."""
    return 2.0**-alpha_B


def trunk_cost_share(horizons: Any, cooldown_fraction: float) -> float:
    """Tokens of one constant-rate trunk with a cooldown per horizon, over those of one cosine run per horizon.

    [(1 - f) max D + f sum D] / sum D (Hägele et al. 2024); horizons in tokens.
    """
    total = float(sum(horizons))
    return (1 - cooldown_fraction) * float(max(horizons)) / total + cooldown_fraction

"""Rules for the peak learning rate (by N, non-embedding parameters, and D, tokens) and the batch (by D), by name."""

import math
from collections.abc import Callable


def power_rate(
    params: float, tokens: float, coefficient: float, params_exponent: float, tokens_exponent: float
) -> float:
    """coefficient * N^-params_exponent * D^-tokens_exponent.

    Porian et al. 2024 find 3.7 N^-0.36 for N with the head; Step Law 2025 has this form with a positive power of D.
    """
    return coefficient * math.pow(params, -params_exponent) * math.pow(tokens, -tokens_exponent)


def kaplan_rate(
    params: float, tokens: float, coefficient: float, params_exponent: float, tokens_exponent: float
) -> float:
    """0.003239 - 0.0001395 log N, times `coefficient` (Kaplan et al. 2020, Eq D.1); the exponents are not used.

    Raises:
        ValueError: above 1e10 parameters, where the rule falls to zero.
    """
    if params > 1e10:
        raise ValueError(f"learning_rate.rule kaplan holds up to 1e10 non-embedding parameters, not {params:.3g}")
    return coefficient * (0.003239 - 0.0001395 * math.log(params))


def power_batch(tokens: float, coefficient: float, exponent: float) -> float:
    """coefficient * D^exponent tokens (the form of Step Law 2025, which finds 0.58 D^0.571)."""
    return coefficient * math.pow(tokens, exponent)


LEARNING_RATE_RULES: dict[str, Callable[..., float]] = {"power": power_rate, "kaplan": kaplan_rate}
BATCH_RULES: dict[str, Callable[..., float]] = {"power": power_batch}

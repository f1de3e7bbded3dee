"""Learning-rate rules by model size, as named plug-ins. N counts non-embedding parameters."""

from collections.abc import Callable
from math import log

Rule = Callable[[float, float, float], float]


def power(params: float, coefficient: float, exponent: float) -> float:
    """coefficient * N^-exponent (the form of Porian et al. 2024, who find 3.7 N^-0.36 for N with the head)."""
    return coefficient * params**-exponent


def kaplan(params: float, coefficient: float, exponent: float) -> float:
    """0.003239 - 0.0001395 log N, scaled by `coefficient` (Kaplan et al. 2020, Eq D.1).

    Raises:
        ValueError: above 1e10 parameters, where the rule falls to zero.
    """
    if params > 1e10:
        raise ValueError(f"learning_rate.rule kaplan holds up to 1e10 non-embedding parameters, not {params:.3g}")
    return coefficient * (0.003239 - 0.0001395 * log(params))


def constant(params: float, coefficient: float, exponent: float) -> float:
    """The same rate, `coefficient`, at every size."""
    return coefficient


RULES: dict[str, Rule] = {"power": power, "kaplan": kaplan, "constant": constant}

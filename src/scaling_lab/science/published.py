"""Published constants of the laws, each with its source. Where a paper prints two values, both are here, named apart.

Exponents can be compared across corpora; scales and offsets depend on the tokenizer and the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp

from scaling_lab.science.accounting import PF_DAY


@dataclass(frozen=True)
class Constants:
    """One published set: `values` by the parameter names of LAWS[`law`]; N in parameters, D in tokens, C in FLOPs."""

    law: str
    source: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Allocation:
    """coefficient * (C / unit)^exponent: what a published rule gives a budget of C FLOPs; `unit` in FLOPs."""

    source: str
    coefficient: float
    exponent: float
    unit: float = PF_DAY

    def __call__(self, flops: float) -> float:
        return float(self.coefficient * (flops / self.unit) ** self.exponent)


def _power(source: str, scale: float, alpha: float) -> Constants:
    return Constants("power", source, {"Xc": scale, "alpha": alpha})


def _critical(source: str, at_one_nat: float, alpha: float) -> Constants:
    return Constants("critical_batch", source, {"B_star": at_one_nat, "alpha_B": alpha})


def _hoffmann(source: str, E: float, A: float, B: float, alpha: float, beta: float) -> Constants:
    return Constants("hoffmann", source, {"E": E, "A": A, "B": B, "alpha": alpha, "beta": beta})


_KAPLAN = "Kaplan et al. 2020, "

PUBLISHED: Mapping[str, Constants] = {
    "kaplan_params": _power(_KAPLAN + "Eq 1.1 and Table 5, N non-embedding", 8.8e13, 0.076),
    "kaplan_tokens": _power(_KAPLAN + "Eq 1.2 and Table 5", 5.4e13, 0.095),
    "kaplan_compute_naive": _power(_KAPLAN + "Table 5, fixed batch", 1.6e7 * PF_DAY, 0.057),
    "kaplan_compute_naive_figure_13": _power(_KAPLAN + "Figure 13, fixed batch", 2.0e7 * PF_DAY, 0.057),
    "kaplan_compute": _power(_KAPLAN + "Eq 1.3 and Table 5, C_min", 3.1e8 * PF_DAY, 0.050),
    "kaplan_compute_figure_13": _power(_KAPLAN + "Figure 13, C_min", 2.3e8 * PF_DAY, 0.050),
    "kaplan_logarithm": Constants("logarithm", _KAPLAN + "Figure 23", {"Xc": 7.1e12, "k": 0.25}),
    "kaplan": Constants(
        "kaplan", _KAPLAN + "Table 2", {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}
    ),
    "kaplan_steps": Constants(
        "kaplan_steps", _KAPLAN + "Table 3", {"Nc": 6.5e13, "Sc": 2.1e3, "alpha_N": 0.077, "alpha_S": 0.76}
    ),
    "kaplan_batch": _critical(_KAPLAN + "Table 5", 2.1e8, 0.21),
    "kaplan_batch_text": _critical(_KAPLAN + "text of section 5", 2e8, 0.21),
    "kaplan_batch_figure_10": _critical(_KAPLAN + "Figure 10, exponent 4.8", 2.1e8, 1 / 4.8),
    "kaplan_batch_appendix_b": _critical(_KAPLAN + "Eq B.4, exponent 5", 2.1e8, 1 / 5),
    "hoffmann_printed": _hoffmann("Hoffmann et al. 2022, as printed: rounded", 1.69, 406.4, 410.7, 0.34, 0.28),
    "hoffmann_tex": _hoffmann(
        "Hoffmann et al. 2022, TeX source", exp(0.5267228), exp(6.0073404), exp(6.0179186), 0.33917084, 0.2849083
    ),
    "besiroglu": _hoffmann("Besiroglu et al. 2024", 1.8172, 482.01, 2085.43, 0.3478, 0.3658),
    "besiroglu_sum_huber": _hoffmann(
        "Besiroglu et al. 2024, notebook, sum of Huber terms alone", 1.817236, 477.842, 2143.864, 0.347313, 0.367183
    ),
    "muennighoff": Constants(
        "data_constrained",
        "Muennighoff et al. 2023",
        {
            "E": exp(0.6254804),
            "A": exp(6.255414),
            "B": exp(7.3049974),
            "alpha": 0.3526596,
            "beta": 0.3526596,
            "R_N": 5.309743,
            "R_D": 15.387756,
        },
    ),
    "hernandez": Constants(
        "transfer", "Hernandez et al. 2021, text to Python", {"k": 1.9e4, "alpha": 0.18, "beta": 0.38}
    ),
}
"""Every published set by name."""

_TABLE_6 = _KAPLAN + "Table 6, C_min"

ALLOCATIONS: Mapping[str, Allocation] = {
    "kaplan_params": Allocation(_TABLE_6, 1.3e9, 0.73),
    "kaplan_params_naive": Allocation(_KAPLAN + "Figure 14, fixed batch", 1.6e9, 0.88),
    "kaplan_batch": Allocation(_TABLE_6 + ", tokens", 2.0e6, 0.24),
    "kaplan_steps": Allocation(_TABLE_6 + ", a lower bound", 5.4e3, 0.03),
    "kaplan_tokens": Allocation(_TABLE_6 + ", one epoch", 2e10, 0.27),
    "kaplan_tokens_eq_6_7": Allocation(_KAPLAN + "Eq 6.7 as printed", 4e10, 0.26),
    "kaplan_tokens_eq_6_7_middle": Allocation(
        _KAPLAN + "Eq 6.7, 2 C_min / (6 N(C_min)) with N of Table 6", 2 * PF_DAY / (6 * 1.3e9), 1 - 0.73
    ),
    "porian_params": Allocation("Porian et al. 2024, tuned, N with the head", 0.1189, 0.497, 1.0),
}
"""Published shares of a compute budget, by name."""

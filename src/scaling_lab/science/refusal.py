"""Why a fit is refused: a code that programs can branch on and a sentence for people."""

from __future__ import annotations

from enum import StrEnum


class RefusalCode(StrEnum):
    """The reasons for which no number is returned."""

    TOO_FEW_POINTS = "too_few_points"
    SINGLE_VALUE = "single_value"  # one N, one D: the message names the variable
    NOT_IDENTIFIED = "not_identified"  # a parameter on its bound, or runs that cannot tell the parameters apart
    OFFSET_CONTAINS_ZERO = "offset_contains_zero"
    NO_CURVATURE = "no_curvature"
    EDGE_OPTIMUM = "edge_optimum"
    INVERTED_PARABOLA = "inverted_parabola"
    NOT_CONVERGED = "not_converged"
    NO_TRANSFORMERS = "no_transformers"  # only they can be planned: a plan continues their shapes


class FitRefusedError(Exception):
    """A fit that would return a number nobody should use."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

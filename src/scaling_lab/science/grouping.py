"""Which amounts count as the same: budgets and amounts of data that differ only by the rounding of whole steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.laws import Array

SAME = 1.02  # ratio within which two amounts of data, or two budgets, count as the same


def groups_of(values: Array) -> NDArray[np.intp]:
    """Number of the group of each value: neighbours within 2 %, and all within 2 % of the group's middle."""
    groups = np.zeros(len(values), dtype=np.intp)
    order = np.argsort(values, kind="stable")
    current, first = 0, values[order[0]] if len(values) else 0.0
    previous = first
    for index in order:
        if values[index] > previous * SAME or values[index] > first * SAME**2:
            current, first = current + 1, values[index]
        groups[index], previous = current, values[index]
    return groups

"""Ranges of positions in the context that grow by two, and mean losses over them: few numbers for any context."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from scaling_lab.science.laws import Array


def position_bins(context: int) -> list[tuple[int, int]]:
    """(first, last) positions, from 1, between powers of two: 1, 2, 3 to 4, 5 to 8 and on to the context."""
    edges = [0, *(2**k for k in range(context.bit_length()))]
    if edges[-1] < context:
        edges.append(context)
    return [(low + 1, high) for low, high in pairwise(edges)]


def binned(losses: Array, bins: Sequence[tuple[int, int]]) -> Array:
    """Mean loss [bins] over each range of positions of losses [context]."""
    return np.array([losses[first - 1 : last].mean() for first, last in bins])


def middles(bins: Sequence[tuple[int, int]]) -> Array:
    """Geometric middle [bins] of each range: where it is drawn."""
    return np.array([np.sqrt(first * last) for first, last in bins])


def range_label(first: int, last: int) -> str:
    """A range in words: 1, or 3 to 4."""
    return f"{first}" if first == last else f"{first} to {last}"

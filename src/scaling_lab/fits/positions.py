"""The test loss at each position of the context, read beside a table of runs, and means over ranges of positions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq

from scaling_lab.fits.table import RunTable
from scaling_lab.science.laws import Array

COLUMN = "test_loss_by_position_nats"


def read_positions(table: RunTable) -> list[Array]:
    """Loss in nats [context] at positions 1 to context of each run, in the order of `table`."""
    values = pq.read_table(table.path, columns=[COLUMN])[COLUMN].to_pylist()
    return [np.array(values[row - 1], dtype=np.float64) for row in table.rows]


def position_bins(context: int) -> list[tuple[int, int]]:
    """(first, last) positions, from 1, between powers of two: 1, 2, 3 to 4, 5 to 8 and on to the context."""
    edges = [0, *(2**k for k in range(int(np.log2(context)) + 1))]
    if edges[-1] < context:
        edges.append(context)
    return [(low + 1, high) for low, high in pairwise(edges)]


def binned(losses: Array, bins: list[tuple[int, int]]) -> Array:
    """Mean loss [bins] over each range of positions of losses [context]."""
    return np.array([losses[first - 1 : last].mean() for first, last in bins])

"""The test loss at each position of the context, read beside a table of runs."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq

from scaling_lab.fits.table import RunTable
from scaling_lab.science.laws import Array

COLUMN = "test_loss_by_position_nats"


def read_positions(table: RunTable) -> list[Array]:
    """Loss in nats [context] at positions 1 to context of each run, in the order of `table`."""
    values = pq.read_table(table.path, columns=[COLUMN])[COLUMN].to_pylist()
    return [np.array(values[row - 1], dtype=np.float64) for row in table.rows]

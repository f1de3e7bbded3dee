"""The table of runs as numpy columns, checked where it is used: errors name the file, the row and the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scaling_lab.errors import TableError
from scaling_lab.files import sha256_of
from scaling_lab.science.accounting import Shape
from scaling_lab.science.laws import Array

Mask = NDArray[np.bool_]

SHAPE_COLUMNS = ("n_layer", "d_model", "n_head", "d_ff", "context", "vocab_size")


@dataclass(frozen=True)
class RunTable:
    """Rows of runs.parquet. `rows` are their numbers in the file, from 1."""

    path: Path
    sha256: str
    columns: Mapping[str, NDArray[Any]]
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def runs(self) -> list[str]:
        """Run ids."""
        return [str(run) for run in self.columns["run"]]

    def take(self, mask: Mask) -> RunTable:
        """The rows where `mask` is true."""
        columns = {name: values[mask] for name, values in self.columns.items()}
        return replace(self, columns=columns, rows=self.rows[mask])

    def values(self, name: str) -> NDArray[Any]:
        """A column as it is. Raises TableError if the table lacks it."""
        if name not in self.columns:
            have = ", ".join(sorted(self.columns))
            raise TableError(f"{self.path}: no column {name!r}; the table has {have}")
        return self.columns[name]

    def numbers(self, name: str) -> Array:
        """A column of positive finite numbers. Raises TableError naming the first row that is not one."""
        values = self.values(name)
        try:
            numbers = np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TableError(f"{self.path}: column {name!r} holds text where numbers are needed") from error
        bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers > 0)))
        if len(bad):
            first = bad[0]
            where = f"row {self.rows[first]} (run {self.columns['run'][first]})"
            raise TableError(f"{self.path}: {where}: {name} is {values[first]}; allowed: a positive number")
        return numbers

    def shapes(self) -> list[Shape]:
        """The model of each run; positions are learned where the table does not say."""
        sizes = zip(*(self.numbers(name) for name in SHAPE_COLUMNS), strict=True)
        positions = self.columns.get("positions", ["learned"] * len(self.rows))
        named = (dict(zip(SHAPE_COLUMNS, map(int, row), strict=True)) for row in sizes)
        return [Shape(**row, positions=where) for row, where in zip(named, positions, strict=True)]


def read_runs(path: Path) -> RunTable:
    """Read runs.parquet. Raises TableError for an unreadable or empty file or a run that appears twice."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: not a readable Parquet table: {error}") from error
    columns = {
        name: np.array(table[name].to_pylist(), dtype=object)
        for name, kind in zip(table.schema.names, table.schema.types, strict=True)
        if not pa.types.is_nested(kind)
    }
    runs = RunTable(path, sha256_of(path), columns, np.arange(1, table.num_rows + 1))
    if not len(runs):
        raise TableError(f"{path}: the table has no rows")
    _check_unique(runs)
    return runs


def _check_unique(table: RunTable) -> None:
    seen: dict[str, int] = {}
    for row, run in zip(table.rows, table.values("run"), strict=True):
        if run in seen:
            raise TableError(f"{table.path}: row {row}: run {run} is already in row {seen[run]}; one row per run")
        seen[run] = int(row)

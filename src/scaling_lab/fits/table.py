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
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

Mask = NDArray[np.bool_]

SHAPE_COLUMNS = ("n_layer", "d_model", "n_head", "d_ff", "context", "vocab_size")
# What else tells two models apart, in tables that say it.
VARIANT_COLUMNS = ("architecture", "positions", "head_dim", "tied", "reuse", "parametrization")


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
    def simulated(self) -> bool:
        """Whether the losses were drawn from planted laws: everything made of them says so."""
        return bool(np.any(self.columns.get("simulated", False)))

    @property
    def runs(self) -> list[str]:
        """Run ids; `row 7` where the table does not name its runs."""
        return (
            [str(run) for run in self.columns["run"]] if "run" in self.columns else [f"row {row}" for row in self.rows]
        )

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
        """A column of positive finite numbers. Raises TableError naming the rows that are not."""
        numbers = self.floats(name)
        bad = np.flatnonzero(~usable(numbers))
        if len(bad):
            more = f" ({len(bad)} such rows: {_listed(self.rows[bad])})" if len(bad) > 1 else ""
            found = shown(self.values(name)[bad[0]])
            raise TableError(f"{self.path}: {self.where(bad[0])}: {name} is {found}; allowed: a positive number{more}")
        return numbers

    def floats(self, name: str) -> Array:
        """A column of any numbers; what is missing is NaN. Raises TableError for text."""
        try:
            return np.array([np.nan if v is None else float(v) for v in self.values(name)], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TableError(f"{self.path}: column {name!r} holds text where numbers are needed") from error

    def where(self, index: int | np.intp) -> str:
        """A row as messages name it: its number in the file, and its run where the table has ids."""
        row = f"row {self.rows[index]}"
        return f"{row} (run {self.columns['run'][index]})" if "run" in self.columns else row

    def with_columns(self, **columns: NDArray[Any]) -> RunTable:
        """The table with further columns, or with others in their place."""
        return replace(self, columns={**self.columns, **columns})

    def models(self) -> list[str]:
        """The model of each run as text, equal where the models are; of any architecture."""
        names = (*SHAPE_COLUMNS, *(name for name in VARIANT_COLUMNS if name in self.columns))
        return [str(model) for model in zip(*(self.values(name) for name in names), strict=True)]

    @property
    def has_transformers(self) -> bool:
        """Whether any run is of a Transformer: those that a plan can continue."""
        return "transformer" in self._kinds

    @property
    def _kinds(self) -> NDArray[Any]:
        return self.columns.get("architecture", np.full(len(self), "transformer"))

    def shapes(self) -> list[Shape]:
        """The model of each run of a Transformer; heads divide the width, positions are learned and the head is tied
        where the table does not say. Raises FitRefusedError if there is none.
        """
        if not self.has_transformers:
            found = ", ".join(sorted(set(self._kinds)))
            message = f"only runs of {found}; a plan continues the shapes of Transformers"
            raise FitRefusedError(RefusalCode.NO_TRANSFORMERS, message)
        table = self.take(np.asarray(self._kinds == "transformer"))
        columns: dict[str, list[Any]] = {name: table.numbers(name).astype(int).tolist() for name in SHAPE_COLUMNS}
        for name, default in (("positions", "learned"), ("head_dim", None), ("tied", True)):
            columns[name] = list(table.columns.get(name, [default] * len(table)))
        rows = zip(*columns.values(), strict=True)
        return [Shape(**dict(zip(columns, row, strict=True))) for row in rows]


def shown(value: Any) -> str:
    """A cell as messages show it."""
    return "missing" if value is None else str(value)


def usable(numbers: Array) -> Mask:
    """Which numbers a fit can use: positive and finite."""
    return np.asarray(np.isfinite(numbers) & (numbers > 0))


def read_runs(path: Path) -> RunTable:
    """Read runs.parquet. Raises TableError for an unreadable or empty file or a run that appears twice."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: not a readable Parquet table: {_one_line(error)}") from error
    runs = table_of(path, table)
    _check_unique(runs)
    return runs


def table_of(path: Path, table: pa.Table) -> RunTable:
    """An Arrow table, read from `path`, without its nested columns. Raises TableError if it has no rows."""
    columns = {
        name: np.array(table[name].to_pylist(), dtype=object)
        for name, kind in zip(table.schema.names, table.schema.types, strict=True)
        if not pa.types.is_nested(kind)
    }
    runs = RunTable(path, sha256_of(path), columns, np.arange(1, table.num_rows + 1))
    if not len(runs):
        raise TableError(f"{path}: the table has no rows")
    return runs


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _listed(rows: NDArray[np.intp], most: int = 8) -> str:
    more = ", ..." if len(rows) > most else ""
    return ", ".join(str(row) for row in rows[:most]) + more


def _check_unique(table: RunTable) -> None:
    seen: dict[str, int] = {}
    for row, run in zip(table.rows, table.values("run"), strict=True):
        if run in seen:
            raise TableError(f"{table.path}: row {row}: run {run} is already in row {seen[run]}; one row per run")
        seen[run] = int(row)

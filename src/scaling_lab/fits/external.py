"""Tables that other people made: CSV or Parquet to the variables of a law, with every row accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scaling_lab.errors import TableError
from scaling_lab.fits.rows import check_duplicates, check_unique, keep_valid, keep_where, parse_condition
from scaling_lab.fits.selection import Selection
from scaling_lab.fits.table import RunTable, table_of
from scaling_lab.science.laws import Array, Law

FLOPS_PER_PARAM = 6


@dataclass(frozen=True)
class Columns:
    """Which column of the file holds what.

    `variables` maps letters of laws (N, D, X, ...) to columns; `flops` is the training FLOPs of a run, from which N or
    D follows where it is absent; `run` identifies a run; rows with the same `cluster` are resampled together.
    """

    loss: str = "loss"
    variables: Mapping[str, str] = field(default_factory=dict)
    flops: str | None = None
    run: str | None = None
    cluster: str | None = None


@dataclass(frozen=True)
class RowRules:
    """Which rows are used: conditions such as `loss<5`, whether unusable ones are dropped, what duplicates mean."""

    where: tuple[str, ...] = ()
    drop_invalid: bool = False
    duplicates: Literal["error", "drop", "keep"] = "error"


@dataclass(frozen=True)
class External:
    """A law, its variables [n] each, loss [n], cost in FLOPs [n] (None if N and D are not both known) and clusters."""

    law: Law
    selection: Selection
    variables: dict[str, Array]
    described: dict[str, dict[str, str]]
    loss: Array
    flops: Array | None
    clusters: NDArray[np.intp] | None


def read_external(path: Path, law: Law, columns: Columns, rules: RowRules) -> External:
    """Read what `law` needs.

    Raises:
        TableError: an unreadable file, a missing column, values that are not positive numbers, or runs that repeat.
    """
    table = read_any(path)
    if columns.run is not None:
        table = table.with_columns(run=table.values(columns.run))
    selection = Selection(table)
    for condition in (parse_condition(text) for text in rules.where):
        selection = keep_where(selection, condition)
    sources = _sources(law, columns, table)
    needed = list(dict.fromkeys([*sources.values(), columns.loss, *([columns.flops] if columns.flops else [])]))
    if rules.drop_invalid:
        selection = keep_valid(selection, needed)
    if not len(selection.table):
        raise TableError(f"{path}: no row is left after the filters")
    if columns.run is not None:
        check_unique(selection.table, columns.run)
    numbers = np.column_stack([selection.table.numbers(column) for column in needed])
    selection = check_duplicates(selection, numbers, rules.duplicates)
    return _external(selection, law, columns, sources)


def read_any(path: Path) -> RunTable:
    """A CSV (comma, semicolon or tab) or Parquet table, by its content. Raises TableError."""
    try:
        with path.open("rb") as file:
            start = file.read(65536)
        if start[:4] == b"PAR1":
            table = pq.read_table(path)
        else:
            header = start.split(b"\n", 1)[0]
            delimiter = max(",;\t", key=lambda character: header.count(character.encode()))
            table = csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=delimiter))
    except (OSError, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        raise TableError(f"{path}: not a readable CSV or Parquet table: {reason}") from error
    names = [name.strip() for name in table.schema.names]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TableError(f"{path}: the column {repeated[0]!r} appears more than once")
    return table_of(path, table.rename_columns(names))


def _sources(law: Law, columns: Columns, table: RunTable) -> dict[str, str]:
    """The column of each variable of the law; absent if it follows from the FLOPs. Raises TableError."""
    found: dict[str, str] = {}
    for name in law.variables:
        column = columns.variables.get(name)
        if column is None and name in table.columns:
            column = name
        if column is not None:
            table.values(column)
            found[name] = column
        elif name not in ("N", "D"):
            option = "--x" if name == "X" else f"--column {name}=COLUMN"
            raise TableError(f"{table.path}: {law.name} needs {name}; name its column by {option}; {_has(table)}")
    missing = [name for name in law.variables if name not in found]
    if missing and (columns.flops is None or len(missing) > 1 or not {"N", "D"} <= set(law.variables)):
        name = missing[0]
        option = {"N": "--params", "D": "--tokens"}[name]
        raise TableError(
            f"{table.path}: {law.name} needs {name}: no column {name!r}; name it by {option}, or derive it by --flops; "
            f"{_has(table)}"
        )
    return found


def _has(table: RunTable) -> str:
    return f"the table has {', '.join(sorted(table.columns))}"


def _external(selection: Selection, law: Law, columns: Columns, sources: Mapping[str, str]) -> External:
    table = selection.table
    variables = {name: table.numbers(column) for name, column in sources.items()}
    described = {name: {"column": column, "label": column} for name, column in sources.items()}
    flops = table.numbers(columns.flops) if columns.flops else None
    for name in law.variables:
        if name not in variables and flops is not None:
            other = "N" if name == "D" else "D"
            variables[name] = flops / (FLOPS_PER_PARAM * variables[other])
            described[name] = {
                "column": f"{columns.flops} / (6 {sources[other]})",
                "label": f"{name} from {columns.flops}",
            }
    if flops is None and {"N", "D"} <= set(variables):
        flops = FLOPS_PER_PARAM * variables["N"] * variables["D"]
    ordered = {name: variables[name] for name in law.variables}
    return External(
        law, selection, ordered, described, table.numbers(columns.loss), flops, _clusters(table, columns.cluster)
    )


def _clusters(table: RunTable, column: str | None) -> NDArray[np.intp] | None:
    """The number of each row's cluster."""
    if column is None:
        return None
    names = np.array([str(value) for value in table.values(column)])
    return np.unique(names, return_inverse=True)[1].ravel()

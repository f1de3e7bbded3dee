"""Which rows of a user's table are used: conditions, unusable values, repeated runs. What is dropped is named."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scaling_lab.errors import ConfigError, TableError
from scaling_lab.fits.selection import Selection
from scaling_lab.fits.table import RunTable, shown, usable
from scaling_lab.science.laws import Array

Duplicates = Literal["error", "drop", "keep"]
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, "==": operator.eq, ">": operator.gt, "<": operator.lt,
    "=": operator.eq,
}  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """`column operator value`, such as step>=3000 or schedule=cosine."""

    text: str
    column: str
    operator: str
    value: str


def parse_condition(text: str) -> Condition:
    """Read a condition. Raises ConfigError."""
    match = re.fullmatch(r"\s*(.+?)\s*(>=|<=|!=|==|=|>|<)\s*(.+?)\s*", text)
    if match is None:
        raise ConfigError(f"--where {text!r}; allowed: COLUMN=VALUE, with =, !=, <, <=, > or >=")
    return Condition(text.strip(), *match.groups())


def keep_where(selection: Selection, condition: Condition) -> Selection:
    """Rows that meet a condition: numbers as numbers, anything else as text with = and != only."""
    table = selection.table
    values = table.values(condition.column)
    try:
        wanted: Any = float(condition.value)
        found: Any = table.floats(condition.column)
    except (ValueError, TableError):
        if condition.operator not in ("=", "==", "!="):
            message = f"--where {condition.text!r}: {condition.column} is text; allowed: = and !="
            raise ConfigError(message) from None
        wanted, found = condition.value, np.array([str(value) for value in values])
    mask = np.asarray(_OPERATORS[condition.operator](found, wanted), dtype=bool)
    reasons = [f"{condition.column} is {shown(value)}, not {condition.text}" for value in values]
    return selection.keep(f"where {condition.text}", mask, reasons)


def keep_valid(selection: Selection, columns: Sequence[str]) -> Selection:
    """Rows whose needed values are positive and finite."""
    table = selection.table
    mask = np.ones(len(table), dtype=bool)
    reasons = [""] * len(table)
    for column in columns:
        good = usable(table.floats(column))
        for row in np.flatnonzero(~good & mask):
            reasons[row] = f"{column} is {shown(table.values(column)[row])}"
        mask &= good
    return selection.keep("valid", mask, reasons)


def check_unique(table: RunTable, column: str) -> None:
    """Raise TableError where a run id stands in two rows."""
    seen: dict[str, int] = {}
    for row, run in zip(table.rows, table.runs, strict=True):
        if run in seen:
            hint = f"one row per run, or --cluster {column} if the rows are checkpoints of one run"
            raise TableError(f"{table.path}: row {row}: run {run} is already in row {seen[run]}; {hint}")
        seen[run] = int(row)


def check_duplicates(selection: Selection, values: Array, duplicates: Duplicates) -> Selection:
    """Rows that agree in every number [n, k] that the fit reads are the same run twice: an error, dropped, or kept."""
    if duplicates == "keep":
        return selection
    _, first, group = np.unique(values, axis=0, return_index=True, return_inverse=True)
    original = first[group.ravel()]
    repeated = original != np.arange(len(values))
    table = selection.table
    if duplicates == "error" and repeated.any():
        row = int(np.flatnonzero(repeated)[0])
        which = f"{table.where(row)} repeats {table.where(original[row])}: same variables, same loss"
        raise TableError(f"{table.path}: {which}; remove it, or choose --duplicates drop or keep")
    reasons = [f"repeats row {table.rows[index]}" for index in original]
    return selection.keep("duplicates", ~repeated, reasons)

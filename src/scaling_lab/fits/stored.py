"""Fits as the fit stage wrote them, read back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scaling_lab.errors import TableError
from scaling_lab.science.departure import COLUMNS
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.planner import FittedLaw

SURFACES = ("hoffmann", "kaplan")  # laws of L(N, D) that a plan can rest on


@dataclass(frozen=True)
class StoredFit:
    """A fit's document and its draws, as the fit stage wrote them."""

    document: dict[str, Any]
    draws: dict[str, Array]

    @property
    def ok(self) -> bool:
        """Whether the fit was not refused."""
        return bool(self.document["status"] == "ok")

    def value(self, name: str) -> float:
        """A fitted parameter."""
        return float(self.document["parameters"][name]["value"])


def read_fit(fits_dir: Path, name: str) -> StoredFit | None:
    """A fit and its draws; None if the study does not have it."""
    path = fits_dir / f"{name}.json"
    return read_fit_file(path) if path.exists() else None


def read_fit_file(path: Path) -> StoredFit:
    """A fit by the path of its JSON; its draws lie beside it. Raises TableError for a file that is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: not a readable fit: {error}") from error
    if not isinstance(document, dict) or not {"law", "status", "parameters"} <= set(document):
        raise TableError(f"{path}: not a fit; allowed: the JSON that `scaling-lab fit --json` or the workflow writes")
    columns = _beside(path, "draws")
    return StoredFit(document, {name: np.array(values, dtype=np.float64) for name, values in columns.items()})


def points_of_fit(path: Path) -> dict[str, Array]:
    """The numeric columns of the points beside a fit's JSON."""
    return {
        name: np.array(values, dtype=np.float64) for name, values in _beside(path, "points").items() if name != "run"
    }


def _beside(path: Path, what: str) -> dict[str, list[Any]]:
    """The columns of fit.draws.parquet or fit.points.parquet. Raises TableError if it is not beside fit.json."""
    table = path.with_suffix(f".{what}.parquet")
    try:
        columns: dict[str, list[Any]] = pq.read_table(table).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{table}: not readable; it is written beside {path.name} and belongs to it") from error
    return columns


def fitted_law(fit: StoredFit, points: Path, names: Sequence[str] = LAWS["hoffmann"].parameter_names) -> FittedLaw:
    """The Hoffmann law, or another of N and D, with its draws and its residuals, inflated for its parameters."""
    residuals = np.array(pq.read_table(points, columns=["residual"])["residual"].to_pylist(), dtype=np.float64)
    free = len(fit.document["parameters"])
    inflated = residuals * np.sqrt(len(residuals) / max(len(residuals) - free, 1))
    law = LAWS.get(fit.document["law"], LAWS["hoffmann"])
    fixed = fit.document.get("fixed", {})
    count = len(next(iter(fit.draws.values())))
    values = {name: fixed[name] if name in fixed else fit.value(name) for name in names}
    draws = {name: np.full(count, fixed[name]) if name in fixed else fit.draws[name] for name in names}
    draws |= {name: fit.draws[name] for name in COLUMNS if name in fit.draws}
    return FittedLaw(values, draws, inflated, law)

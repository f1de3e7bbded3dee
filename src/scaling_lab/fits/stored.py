"""Fits as the fit stage wrote them, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.planner import FittedLaw


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
    if not path.exists():
        return None
    columns = pq.read_table(fits_dir / f"{name}.draws.parquet").to_pydict()
    draws = {column: np.array(values, dtype=np.float64) for column, values in columns.items()}
    return StoredFit(json.loads(path.read_text(encoding="utf-8")), draws)


def fitted_law(fit: StoredFit, points: Path) -> FittedLaw:
    """The Hoffmann law with its draws and the residuals of its runs, inflated for its parameters."""
    names = LAWS["hoffmann"].parameter_names
    residuals = np.array(pq.read_table(points, columns=["residual"])["residual"].to_pylist(), dtype=np.float64)
    inflated = residuals * np.sqrt(len(residuals) / (len(residuals) - len(names)))
    return FittedLaw({n: fit.value(n) for n in names}, {n: fit.draws[n] for n in names}, inflated)

"""What a figure function returns: the figure and, as tidy rows, the numbers that it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure


@dataclass
class Drawing:
    """A figure and its data. Each row names its panel and series; columns carry their units in their names."""

    figure: Figure
    rows: list[dict[str, Any]] = field(default_factory=list)

    def record(self, panel: str, series: str, /, **columns: Any) -> None:
        """Add one row per element of the columns; scalars are repeated."""
        arrays = np.broadcast_arrays(*(np.asarray(values) for values in columns.values()))
        flat = [np.atleast_1d(array).tolist() for array in arrays]
        for values in zip(*flat, strict=True):
            self.rows.append({"panel": panel, "series": series} | dict(zip(columns, values, strict=True)))

    @property
    def columns(self) -> list[str]:
        """All column names, in the order of their first use."""
        names: Mapping[str, None] = {"panel": None, "series": None} | {name: None for row in self.rows for name in row}
        return list(names)

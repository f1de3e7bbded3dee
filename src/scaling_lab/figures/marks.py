"""What several figures draw with: colours of a few series, points with their intervals, and a refusal in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.inputs import Fit
from scaling_lab.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, annotate, refused
from scaling_lab.science.laws import Array

SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, INK, GREY, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")


def colour_of(place: int) -> str:
    """Colour of the n-th series; they repeat after eight."""
    return SERIES[place % len(SERIES)]


def marker_of(place: int) -> str:
    """Marker of the n-th series; they repeat after nine, so that seventy-two series differ in one or the other."""
    return MARKERS[place % len(MARKERS)]


def bounds_of(entries: Sequence[Mapping[str, Any]]) -> tuple[Array, Array, Array]:
    """Values, lower and upper ends [n] of estimates; NaN where one has no interval."""
    ends = [entry["interval"] or {"low": np.nan, "high": np.nan} for entry in entries]
    value = np.array([entry["value"] for entry in entries], dtype=np.float64)
    return value, np.array([end["low"] for end in ends]), np.array([end["high"] for end in ends])


def with_bars(axes: Axes, x: Array, entries: Sequence[Mapping[str, Any]], **style: Any) -> tuple[Array, Array, Array]:
    """Points with their intervals as bars; the values and ends that were drawn."""
    value, low, high = bounds_of(entries)
    reach = np.nan_to_num(np.vstack([value - low, high - value]).clip(min=0))
    axes.errorbar(x, value, yerr=reach, capsize=2.5, elinewidth=1.1, **style)
    return value, low, high


def say_missing(axes: Axes, fit: Fit | None, name: str) -> bool:
    """Whether there is nothing to draw: a fit that the study lacks, or that was refused, is said in the panel."""
    if fit is None:
        annotate(axes, f"this study does not fit\n{name}", "upper left")
    elif not fit.ok:
        refused(axes, {name: fit.reason}, 60)
    return fit is None or not fit.ok

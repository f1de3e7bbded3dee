"""How far a setting of each cell lies from its best, and the loss expected to be lost by it: two panels of a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit
from scaling_lab.figures.labels import PARAMS
from scaling_lab.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, log_counts
from scaling_lab.science.laws import Array

_COLOURS = (ORANGE, GREEN, RED, PURPLE, GREY, INK)


def draw_distances(left: Axes, right: Axes, fit: Fit, drawing: Drawing) -> None:
    """A setting over its best, and the loss lost by it, of the cells and of the published rules, if the fit has any."""
    if not fit.record.get("rules"):
        return
    cells = [fit.points[name].astype(float) for name in ("N", "factor", "excess")]
    _series(left, right, "cells of the grid", ("o", BLUE), cells, drawing)
    for number, rule in enumerate(fit.record["rules"]):
        values = [np.array(rule[name], dtype=float) for name in ("params", "factor", "excess")]
        _series(left, right, f"rule {rule['rule']}", ("--", _COLOURS[number % len(_COLOURS)]), values, drawing)
    left.axhline(1, color=GREY, linewidth=1)
    right.axhline(0.25, color=GREY, linewidth=1)
    right.set_title("line: 0.25 %, near-optimal in DeepSeek 2024", fontsize=10)
    right.set_yscale("log")
    left.set_yscale("log")
    left.legend(fontsize=9)


def label_distances(left: Axes, right: Axes, factor: str) -> None:
    """Axes of both panels; `factor` names what the left one shows."""
    for axes, label in ((left, factor), (right, "loss expected to be lost by it, %")):
        log_counts(axes)
        axes.set(xlabel="N: " + PARAMS["params_non_embedding"], ylabel=label)


def _series(
    left: Axes, right: Axes, label: str, style: tuple[str, str], columns: Sequence[Array], drawing: Drawing
) -> None:
    """Factor and expected excess of one series against size, in both panels."""
    params, factor, excess = columns
    left.plot(params, factor, style[0], color=style[1], label=label)
    right.plot(params, 100 * np.maximum(excess, 1e-6), style[0], color=style[1], label=label)
    drawing.record("tuning", label, params_non_embedding=params, factor=factor, excess_percent=100 * excess)

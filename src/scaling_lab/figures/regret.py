"""What another size than the best costs: compute wasted over N at the budgets of the plan, with its band."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import params_label
from scaling_lab.figures.style import BLUE, GREEN, ORANGE, legend_below, log_counts, new_figure, power_of_ten, refused

MOST = 100.0  # per cent shown: beyond it the size is no choice
_COLOURS = (BLUE, ORANGE, GREEN)


def regret(data: StudyData) -> Drawing:
    """One curve per budget, at most three; the dotted line is the best size. Without a law of L(N, D) there is none."""
    figure, panels = new_figure(1, 7.4, 5.0)
    drawing = Drawing(figure)
    budgets = [budget for budget in data.plan["budgets"] if budget["status"] == "ok" and budget["law"]]
    for budget, colour in zip(budgets, _COLOURS, strict=False):
        _curve(panels[0], budget, colour, data, drawing)
    panels[0].set(
        ylim=(0, MOST), xlabel=params_label(data.params_column), ylabel="compute wasted at the same budget, %"
    )
    if budgets:
        log_counts(panels[0])
        legend_below(figure, panels, 2)
    else:
        refused(panels[0], {name: reason for name, reason in data.plan["reasons"].items() if reason}, 60)
    return drawing


def _curve(axes: Axes, budget: Mapping[str, Any], colour: str, data: StudyData, drawing: Drawing) -> None:
    law = budget["law"]["regret"]
    size, middle, high = (_numbers(law[name]) for name in ("params", "compute_percent", "compute_percent_high"))
    flops = power_of_ten(float(f"{budget['flops']:.3g}"))
    label = f"{flops} FLOPs: median, and up to {100 * law['level']:g} % of the draws"
    axes.fill_between(size, middle, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(size, middle, color=colour, label=label)
    axes.axvline(budget["law"]["params_opt"]["value"], color=colour, linestyle=":", linewidth=1.2)
    columns = {data.params_column: size, "compute_wasted_percent": middle, "compute_wasted_percent_high": high}
    drawing.record("regret", label, **{data.flops_column: budget["flops"]}, **columns)


def _numbers(values: list[float | None]) -> Any:
    """What lies beyond the table (null in JSON) is far above the panel."""
    return np.array([np.nan if value is None else value for value in values])

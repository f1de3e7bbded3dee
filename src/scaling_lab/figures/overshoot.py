"""Hoffmann et al. 2022, Figure A1: what a cosine longer than the run costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.marks import say_missing
from scaling_lab.figures.style import BLUE, GREY, INK, new_figure

HARMFUL = 1.25  # the length from which Hoffmann et al. 2022 find clear harm


def overshoot(data: StudyData) -> Drawing:
    """Excess loss of every over-long run over its matched one, and the means with their interval."""
    fit = data.fit("overshoot")
    figure, (axes,) = new_figure(1, 6.8, 4.6)
    drawing = Drawing(figure)
    axes.axhline(0, color=GREY, linewidth=1)
    axes.axvline(HARMFUL, color=GREY, linewidth=1, linestyle="--")
    axes.text(HARMFUL, 0.98, " clear harm above 1.25 in\n Hoffmann et al. 2022", transform=axes.get_xaxis_transform(),
              fontsize=10, va="top", color="#5A5A5A")  # fmt: skip
    missing = say_missing(axes, fit, "overshoot")
    if fit is not None:
        period, excess = fit.points["P"].astype(float), 100 * np.expm1(fit.points["excess"].astype(float))
        axes.plot(period, excess, "o", color=BLUE, alpha=0.6, label="a run against its matched one")
        drawing.record("excess", "runs", length=period, excess_percent=excess)
        if not missing:
            _means(axes, fit.record["periods"], data.level, drawing)
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, 0.86))
    axes.set(xlabel="length of the cosine over that of the run", ylabel="loss above the matched run, %")
    axes.set_xscale("log")
    ticks = [1, 1.25, 1.5, 2, 3, 5]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axes.set_xticks([], minor=True)
    return drawing


def _means(axes: Axes, periods: list[dict[str, Any]], level: float, drawing: Drawing) -> None:
    rows = [(row["period"], row["excess"]) for row in periods]
    x = np.array([length for length, _ in rows])
    ends = [[entry["value"], entry["interval"]["low"], entry["interval"]["high"]] for _, entry in rows]
    mean, low, high = 100 * np.expm1(np.array(ends, dtype=float).T)
    axes.errorbar(x, mean, yerr=[mean - low, high - mean], fmt="s-", color=INK, capsize=4,
                  label=f"mean, {100 * level:g} % interval")  # fmt: skip
    columns = {"excess_percent": mean, "excess_percent_low": low, "excess_percent_high": high}
    drawing.record("excess", f"mean, interval {level:g}", length=x, **columns)

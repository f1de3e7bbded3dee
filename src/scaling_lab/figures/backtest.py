"""Backtest: losses of the most expensive runs, predicted by laws fitted without them, against the measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import flops_label, loss_label
from scaling_lab.figures.style import BLUE, GREEN, INK, ORANGE, legend_below, log_counts, new_figure, refused
from scaling_lab.science.laws import Array

LAW_NAMES = {"hoffmann": "Hoffmann's L(N, D)", "kaplan": "Kaplan's L(N, D)", "compute": "L(C), envelope"}
_LOOK = {"hoffmann": (ORANGE, "o"), "kaplan": (BLUE, "s"), "compute": (GREEN, "D")}
# Laws predict the same runs: a small sideways step keeps their intervals apart.
_STEP = {"hoffmann": -1, "kaplan": 0, "compute": 1}


def backtest(data: StudyData) -> Drawing:
    """Left, predicted against measured loss; right, the relative error against compute. A refused law says why."""
    figure, panels = new_figure(2, 11.5, 5.0)
    drawing = Drawing(figure)
    rows = data.backtest["rows"]
    for law, outcome in data.backtest["laws"].items():
        own = [row for row in rows if row["law"] == law]
        if outcome["status"] == "ok":
            _law(panels, law, own, data, drawing)
    _finish(panels, data)
    _say_refused(panels[0], data)
    if rows:
        legend_below(figure, panels)
    return drawing


def _law(panels: list[Axes], law: str, rows: list[dict[str, Any]], data: StudyData, drawing: Drawing) -> None:
    names = ("measured", "predicted", "low", "high", "flops")
    measured, predicted, low, high, flops = (np.array([row[name] for row in rows]) for name in names)
    colour, marker = _LOOK[law]
    look: dict[str, Any] = {"color": colour, "fmt": marker, "capsize": 3, "elinewidth": 1.3, "label": LAW_NAMES[law]}
    reach = _reach(predicted, low, high)
    panels[0].errorbar(measured * 1.0015 ** _STEP[law], predicted, yerr=reach, **look)
    errors, ends = 100 * (predicted / measured - 1), [100 * (end / measured - 1) for end in (low, high)]
    panels[1].errorbar(flops * 1.03 ** _STEP[law], errors, yerr=_reach(errors, *ends), **look)
    columns = {
        "run": [row["run"] for row in rows],
        data.flops_column: flops,
        f"measured_{data.loss_column}": measured,
        f"predicted_{data.loss_column}": predicted,
        f"predicted_{data.loss_column}_low": low,
        f"predicted_{data.loss_column}_high": high,
        "error_percent": errors,
    }
    drawing.record("both", f"{law}, interval {data.backtest['level']:g}", **columns)


def _reach(value: Array, low: Array, high: Array) -> Array:
    """Lengths of error bars. A bootstrap interval may lie to one side of the estimate: the bar then has one arm."""
    return np.array([value - low, high - value]).clip(0.0)


def _finish(panels: list[Axes], data: StudyData) -> None:
    level = f"{100 * data.backtest['level']:g} % intervals of a new run"
    panels[0].set(xlabel=f"measured {loss_label(data.loss_column)}", ylabel="predicted, nats per token")
    panels[0].set_title(f"Held-out runs, {level}")
    panels[1].set_title("Error of the prediction")
    panels[1].set(
        xlabel=flops_label(data.flops_convention).replace("\n", " "), ylabel="predicted / measured - 1, per cent"
    )
    if not data.backtest["rows"]:
        for axes in panels:
            axes.set(xticks=[], yticks=[])
        return
    ends = [value for row in data.backtest["rows"] for value in (row["measured"], row["low"], row["high"])]
    edge = 0.04 * (max(ends) - min(ends))
    span = [min(ends) - edge, max(ends) + edge]
    panels[0].plot(
        span, span, color=INK, linewidth=1, linestyle=(0, (4, 2)), zorder=1, label="prediction = measurement"
    )
    panels[0].set(xlim=span, ylim=span)
    panels[1].axhline(0, color=INK, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    log_counts(panels[1])


def _say_refused(axes: Axes, data: StudyData) -> None:
    laws = data.backtest["laws"]
    refused(axes, {LAW_NAMES[law]: out["reason"] for law, out in laws.items() if out["status"] != "ok"}, 60)

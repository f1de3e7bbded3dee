"""Kaplan et al. 2020, Figure 8: loss on other texts against size, and against the loss on the training text."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import loss_label, params_label
from scaling_lab.figures.marks import colour_of, marker_of, say_missing
from scaling_lab.figures.style import GREY, INK, legend_below, log_counts, log_loss, new_figure


def transfer(data: StudyData) -> Drawing:
    """Left the ladder on the most data. Right every run: filled the ladder, hollow less data; lines y = x + c."""
    figure, (left, right) = new_figure(2, 12.4, 5.6)
    drawing = Drawing(figure)
    fit = data.fit("transfer")
    if say_missing(left, fit, "transfer") or fit is None:
        return drawing
    ladder = fit.points["ladder"].astype(bool)
    order = np.argsort(fit.points["N"][ladder])
    params, loss = fit.points["N"][ladder][order], fit.points["X"][ladder][order]
    left.plot(params, loss, color=INK, marker="*", markersize=9, label="the training text")
    drawing.record("sizes", "test", params_non_embedding=params, loss_nats=loss)
    for place, (column, text) in enumerate(fit.record["texts"].items()):
        other = fit.points[column][ladder][order]
        left.plot(params, other, color=colour_of(place), marker=marker_of(place), label=text["name"])
        drawing.record("sizes", text["name"], params_non_embedding=params, loss_nats=other)
        _pairs(right, fit, column, place, ladder, drawing)
    log_counts(left)
    log_loss(left)
    left.set(xlabel=params_label("params_non_embedding"), ylabel="loss, nats per token")
    right.plot(fit.points["X"], fit.points["X"], color=GREY, linewidth=1)
    right.set(xlabel=loss_label(data.loss_column), ylabel="loss on the other text, nats per token")
    right.set_title("lines: slope 1 and a constant, the paper's claim; hollow: runs on less data", fontsize=10.5)
    legend_below(figure, [left], 6)
    return drawing


def _pairs(axes: Axes, fit: Fit, column: str, place: int, ladder: np.ndarray, drawing: Drawing) -> None:
    x, y, text = fit.points["X"], fit.points[column], fit.record["texts"][column]
    colour, marker = colour_of(place), marker_of(place)
    axes.plot(x[ladder], y[ladder], marker, color=colour)
    axes.plot(x[~ladder], y[~ladder], marker, color=colour, markerfacecolor="white")
    ends = np.array([x.min(), x.max()])
    axes.plot(ends, ends + text["offset"]["value"], color=colour, linewidth=1)
    slope = text["slope"]["value"]
    axes.annotate(f"{slope:.2f}", (ends[1], text["intercept"] + slope * ends[1]), xytext=(5, 0), color=colour,
                  textcoords="offset points", fontsize=9, va="center")  # fmt: skip
    drawing.record("pairs", text["name"], test_loss_nats=x, loss_nats=y, ladder=ladder)

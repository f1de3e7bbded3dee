"""Kaplan et al. 2020, Figure 21: loss at single positions against size, for a long and for short contexts."""

from __future__ import annotations

import numpy as np

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import params_label
from scaling_lab.figures.marks import colour_of, say_missing
from scaling_lab.figures.style import INK, legend_below, log_counts, log_loss, new_figure, size_colours
from scaling_lab.science.positions import range_label


def context_sizes(data: StudyData) -> Drawing:
    """Left loss against N by position. Right what a short context gains on the positions that it shares with a long."""
    figure, (left, right) = new_figure(2, 12.4, 5.2)
    drawing = Drawing(figure)
    fit = data.fit("context")
    if say_missing(left, fit, "the loss along the context") or fit is None:
        return drawing
    rows, colours = fit.record["positions"], size_colours()
    order = np.argsort(fit.points["N"])
    params = fit.points["N"][order]
    for place, row in enumerate(rows):
        loss = np.array(row["loss"])[order]
        label = range_label(row["first"], row["last"])
        left.plot(params, loss, "o-", color=colours(place / max(len(rows) - 1, 1)), markersize=4, label=f"T {label}")
        drawing.record("sizes", f"positions {label}", params_non_embedding=params, loss_nats=loss)
    log_counts(left)
    log_loss(left)
    left.set(xlabel=params_label("params_non_embedding"), ylabel="test loss at T, nats per token")
    for place, short in enumerate(fit.record["short"]):
        sizes, gaps = np.array(short["params"]), np.array(short["gaps"])
        own = np.argsort(sizes)
        label = f"context {short['context']}, its first {short['context']} positions"
        right.errorbar(
            sizes[own], gaps[own], yerr=short["error_nats"], color=colour_of(place), marker="o", capsize=3, label=label
        )
        drawing.record("short", label, params_non_embedding=sizes[own], gap_nats=gaps[own], error=short["error_nats"])
    right.axhline(0, color=INK, linewidth=0.8)
    log_counts(right)
    right.set(xlabel=params_label("params_non_embedding"), ylabel="short less long context, nats (bar: one error)")
    right.set_title("below 0: the short context is better, as in the paper", fontsize=11)
    legend_below(figure, [left, right], 5)
    return drawing

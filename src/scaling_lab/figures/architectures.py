"""Kaplan et al. 2020, Figures 7 left and 17: loss against size by architecture, and the excess over Transformers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import loss_label
from scaling_lab.figures.marks import colour_of, marker_of, say_missing, with_bars
from scaling_lab.figures.style import GREY, INK, legend_below, log_counts, log_loss, new_figure

COUNTS = {"N": "non-embedding parameters, each once", "reuse_N": "non-embedding parameters, with reuse"}


def architectures(data: StudyData) -> Drawing:
    """A panel per count of N that differs, and one of the excess in per cent. Grey: rates that validation rejected."""
    fit = data.fit("architectures")
    reused = fit is not None and not np.array_equal(fit.points["N"], fit.points["reuse_N"])
    figure, panels = new_figure(3 if reused else 2, 15.5 if reused else 11.5, 5.2)
    drawing = Drawing(figure)
    if say_missing(panels[0], fit, "the architectures") or fit is None:
        return drawing
    for axes, count in zip(panels[:-1], COUNTS, strict=False):
        _losses(axes, fit, count, data, drawing)
    _excess(panels[-1], fit, drawing)
    legend_below(figure, panels[:1], 5)
    return drawing


def _losses(axes: Axes, fit: Fit, count: str, data: StudyData, drawing: Drawing) -> None:
    points = fit.points
    best = points["best_rate"].astype(bool)
    for place, name in enumerate(_series_names(fit)):
        own = (points["series"] == name) & best
        order = np.argsort(points[count][own])
        params, loss = points[count][own][order], points["loss"][own][order]
        lined = points["baseline"][own][order].astype(bool) if name == "transformer" else np.ones(len(order), bool)
        axes.plot(params[lined], loss[lined], color=colour_of(place), linewidth=1.2)
        axes.plot(params, loss, marker_of(place), color=colour_of(place), label=name)
        drawing.record(count, name, params=params, loss_nats=loss)
        others = (points["series"] == name) & ~best
        axes.plot(points[count][others], points["loss"][others], marker_of(place), color=GREY, markersize=4, zorder=1)
    log_counts(axes)
    log_loss(axes)
    axes.set(xlabel=f"N: {COUNTS[count]}", ylabel=loss_label(data.loss_column))


def _series_names(fit: Fit) -> list[str]:
    """Transformers first, the others in the order of the fit."""
    return ["transformer", *(entry["series"] for entry in fit.record["series"])]


def _excess(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    for place, entry in enumerate(fit.record["series"], start=1):
        for column, gaps in entry["gaps"].items():
            if not gaps:
                continue
            params = np.array([gap["params"] for gap in gaps])
            filled = column == "params_non_embedding"
            value, low, high = with_bars(
                axes, params, gaps, color=colour_of(place), marker=marker_of(place), linestyle="-" if filled else ":",
                markerfacecolor=colour_of(place) if filled else "white", linewidth=1.0,
            )  # fmt: skip
            drawing.record("excess", f"{entry['series']}, {column}", params=params, percent=value, low=low, high=high)
    axes.axhline(0, color=INK, linewidth=0.8)
    log_counts(axes)
    hollow = any(len(entry["gaps"]) > 1 for entry in fit.record["series"])
    axes.set(xlabel="N of either count" if hollow else "N", ylabel="excess loss over a Transformer of equal N, %")
    axes.set_title("solid: each parameter once; hollow: with reuse" if hollow else "best rate of each", fontsize=11)

"""Kaplan et al. 2020, Figure 1: test loss as a power law of compute, data and size, with each fitted law."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import TOKENS, flops_label, law_in_words, loss_label, params_label
from scaling_lab.figures.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    annotate,
    legend_below,
    log_counts,
    log_loss,
    new_figure,
    refused,
)
from scaling_lab.science.laws import Array

# Beyond the data the law is dashed, for this factor to either side.
EXTENSION = 3.0


def power_laws(data: StudyData) -> Drawing:
    """Three log-log panels that share the axis of the loss; a law that the study does not fit has no panel."""
    panels = {name: fit for name in ("compute", "tokens", "params") if (fit := data.fit(name))}
    figure, axes = new_figure(len(panels) or 1, 4.4 * (len(panels) or 1), 4.7, sharey=True)
    drawing = Drawing(figure)
    if not panels:
        annotate(axes[0], "this study fits none of\nL(C), L(D), L(N)", "upper left")
    for panel, (name, fit) in zip(axes, panels.items(), strict=bool(panels)):
        if name == "compute":
            _training_curves(panel, data, drawing)
        letter = {"compute": "C", "tokens": "D", "params": "N"}[name]
        _points_and_law(panel, name, letter, fit, data, drawing)
        panel.set(xlabel=_x_label(name, fit, data))
    _limit(axes, panels, data)
    for panel in axes:
        log_counts(panel)
        log_loss(panel)
    axes[0].set_ylabel(loss_label(data.loss_column))
    legend_below(figure, axes)
    return drawing


def _x_label(name: str, fit: Fit, data: StudyData) -> str:
    if name == "compute":
        return flops_label(data.flops_convention)
    if name == "params":
        return params_label(fit.record["variables"]["X"]["column"])
    return f"D: {TOKENS}"


def _training_curves(axes: Axes, data: StudyData, drawing: Drawing) -> None:
    label = "training curves (training loss)"
    for run, flops, loss in data.falls():
        axes.plot(flops, loss, color=PALE, linewidth=0.9, zorder=1, label=label)
        drawing.record(
            "compute", f"training curve {run}", **{data.flops_column: flops, "train_loss_smoothed_nats": loss}
        )
        label = "_nolegend_"


def _points_and_law(axes: Axes, name: str, letter: str, fit: Fit, data: StudyData, drawing: Drawing) -> None:
    column = fit.record["variables"]["X"]["column"]
    x, loss = fit.points["X"], fit.points["loss"]
    chosen = fit.points["on_envelope"].astype(bool) if name == "compute" else np.ones(len(x), dtype=bool)
    if not chosen.all():
        axes.plot(x[~chosen], loss[~chosen], "o", color=GREY, markersize=4, zorder=2, label="runs, end of training")
        drawing.record(name, "runs off the envelope", **{column: x[~chosen], data.loss_column: loss[~chosen]})
    label = "lower envelope of the runs" if name == "compute" else "runs, end of training"
    axes.plot(x[chosen], loss[chosen], "o", color=BLUE if name != "compute" else INK, zorder=4, label=label)
    drawing.record(name, label, **{column: x[chosen], data.loss_column: loss[chosen]})
    if fit.ok:
        _law(axes, name, fit, x[chosen], data, drawing)
        axes.set_title(law_in_words(fit, letter))
    else:
        refused(axes, {f"L({letter})": fit.reason})


def _law(axes: Axes, name: str, fit: Fit, x: Array, data: StudyData, drawing: Drawing) -> None:
    grid = np.geomspace(x.min() / EXTENSION, x.max() * EXTENSION, 120)
    inside = (grid >= x.min()) & (grid <= x.max())
    loss, band = fit.predict({"X": grid}), fit.band({"X": grid}, data.level)
    axes.plot(grid, loss, color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.4, zorder=3)
    axes.plot(grid[inside], loss[inside], color=ORANGE, zorder=3, label="fitted law, dashed beyond the data")
    columns = {fit.record["variables"]["X"]["column"]: grid, data.loss_column: loss}
    if band is not None:
        axes.fill_between(grid, *band, color=ORANGE, alpha=0.22, linewidth=0, zorder=2)
        columns |= {f"{data.loss_column}_low": band[0], f"{data.loss_column}_high": band[1]}
    drawing.record(name, f"fitted law, band {data.level:g}", **columns)


def _limit(axes: list[Axes], panels: Mapping[str, Fit], data: StudyData) -> None:
    """Room for the final losses and the last part of the curves, not for the fall from a uniform guess."""
    losses = np.array([row[data.loss_column] for row in data.runs])
    axes[0].set_ylim(losses.min() / 1.08, losses.max() * 1.12)
    for panel, fit in zip(axes, panels.values(), strict=bool(panels)):
        x = fit.points["X"]
        panel.set_xlim(x.min() / EXTENSION, x.max() * EXTENSION)

"""Hoffmann et al. 2022, Figure 2: training curves and their envelope, and the size and the data on it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import PARAMS, TOKENS, flops_label, with_interval
from scaling_lab.figures.style import (
    GREY,
    INK,
    ORANGE,
    annotate,
    log_counts,
    log_loss,
    new_figure,
    refused,
    size_colours,
    size_norm,
)


def horizons(data: StudyData) -> Drawing:
    """All training curves with the envelope that Approach 1 uses; N and D on it with their power laws."""
    fit = data.fit("envelope")
    figure, (left, *right) = new_figure(3, 15, 4.9)
    drawing = Drawing(figure)
    _curves(left, data, drawing)
    if fit is not None and fit.ok:
        left.plot(fit.points["C"], fit.points["loss"], ".", color=INK, markersize=3, zorder=6, label="envelope")
        drawing.record("curves", "envelope", **{data.flops_column: fit.points["C"], "loss_nats": fit.points["loss"]})
        for axes, letter, name, power in zip(right, "ND", ("params", "tokens"), ("a", "b"), strict=True):
            _law(axes, fit, letter, name, power, data, drawing)
    elif fit is not None:
        refused(left, {"Approach 1": fit.reason}, 44)
    log_counts(left)
    if fit is not None and fit.ok:  # early losses, far above the envelope, would leave it no room
        left.set_ylim(0.95 * fit.points["loss"].min(), 1.5 * fit.points["loss"].max())
    log_loss(left)
    left.set(xlabel=flops_label(data.flops_convention), ylabel="smoothed training loss, nats per token")
    for axes, label in zip(right, (f"best N: {PARAMS[data.params_column]}", f"best D: {TOKENS}"), strict=True):
        log_counts(axes)
        log_counts(axes, "y")
        axes.set(xlabel=flops_label(data.flops_convention), ylabel=label)
    return drawing


def _curves(axes: Axes, data: StudyData, drawing: Drawing) -> None:
    sizes = [row[data.params_column] for row in data.runs]
    colours, norm = size_colours(), size_norm(sizes)
    for row, curve in data.curves():
        flops = curve["tokens"].astype(float) * row[f"flops_per_token_{data.flops_convention}"]
        loss = curve["train_loss_smoothed_nats"].astype(float)
        shown = curve["progress"].astype(float) > 0.02  # before that, the loss of a model that knows nothing
        axes.plot(flops[shown], loss[shown], color=colours(norm(row[data.params_column])), linewidth=1, alpha=0.8)
        columns = {data.params_column: row[data.params_column], data.flops_column: flops[shown]}
        drawing.record("curves", row["run"], **columns, loss_nats=loss[shown])


def _law(axes: Axes, fit: Fit, letter: str, name: str, power: str, data: StudyData, drawing: Drawing) -> None:
    flops, values = fit.points["C"], fit.points[letter]
    axes.plot(flops, values, ".", color=GREY, markersize=4, zorder=3)
    grid = np.geomspace(flops.min() / 1.3, flops.max() * 3, 60)
    coefficient = f"{name}_coefficient"
    drawn = fit.draws[coefficient][:, None] * grid ** fit.draws[power][:, None]
    line = fit.value(coefficient) * grid ** fit.value(power)
    axes.plot(grid, line, color=ORANGE, zorder=4)
    columns = {data.flops_column: grid, name: line}
    if len(drawn) >= 20:
        low, high = np.quantile(drawn, [(1 - data.level) / 2, (1 + data.level) / 2], axis=0)
        axes.fill_between(grid, low, high, color=ORANGE, alpha=0.2, linewidth=0, zorder=2)
        columns |= {f"{name}_low": low, f"{name}_high": high}
    drawing.record(f"best {letter}", "envelope", **{data.flops_column: flops, name: values})
    drawing.record(f"best {letter}", f"power law, band {data.level:g}", **columns)
    annotate(axes, f"{power} = {with_interval(fit, power)}", "upper left")

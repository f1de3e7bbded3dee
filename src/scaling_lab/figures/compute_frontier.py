"""Kaplan et al. 2020, Figures 1 (left) and 13: loss against compute along the curves, C and C_min."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import flops_label, params_label
from scaling_lab.figures.sizes import colour_bar, published_slope, size_scale
from scaling_lab.figures.style import (
    ORANGE,
    PALE,
    annotate,
    legend_below,
    log_counts,
    log_loss,
    new_figure,
    refused,
)
from scaling_lab.science.published import PUBLISHED

EXTENSION = 3.0
# Envelope, title, and the published exponent that its line is drawn beside.
PANELS = (
    ("naive", "C at the runs' batch", PUBLISHED["kaplan_compute_naive"].values["alpha"]),
    ("adjusted", "$C_{min}$, at a small batch", PUBLISHED["kaplan_compute"].values["alpha"]),
)


def compute_frontier(data: StudyData) -> Drawing:
    """Two panels; colour of the envelope is the size that is best there."""
    figure, panels = new_figure(2, 12.5, 5.4, sharey=True)
    drawing = Drawing(figure)
    fit = data.fit("compute_min")
    if fit is None:
        annotate(panels[0], "this study does not fit L(C)", "upper left")
        return drawing
    _curves(panels[0], data, drawing)
    sizes = sorted({row[data.params_column] for row in data.runs})
    scale = size_scale(sizes)
    for axes, (name, title, exponent) in zip(panels, PANELS, strict=True):
        _envelope(axes, name, title, exponent, fit, scale, drawing)
        axes.set_xlabel(flops_label(data.flops_convention))
    losses = fit.points["loss"] if len(fit.points["loss"]) else np.array([row[data.loss_column] for row in data.runs])
    panels[0].set_ylim(losses.min() / 1.06, losses.max() * 1.12)
    for axes in panels:
        log_counts(axes)
        log_loss(axes)
    panels[0].set_ylabel("training loss, nats per token")
    colour_bar(figure, panels, scale, sizes, params_label(data.params_column))
    legend_below(figure, panels)
    return drawing


def _curves(axes: Axes, data: StudyData, drawing: Drawing) -> None:
    label = "training curves"
    for run, flops, loss in data.falls():
        axes.plot(flops, loss, color=PALE, linewidth=0.8, zorder=1, label=label)
        drawing.record("naive", f"training curve {run}", flops=flops, loss=loss)
        label = "_nolegend_"


def _envelope(
    axes: Axes, name: str, title: str, exponent: float, fit: Fit, scale: ScalarMappable, drawing: Drawing
) -> None:
    block = fit.record.get(name) or {"status": "refused", "reason": fit.record["critical_batch"]["reason"]}
    if block["status"] != "ok":
        refused(axes, {title: block["reason"]})
        return
    flops, loss, params = fit.points_where("envelope", name, "flops", "loss", "params")
    axes.scatter(flops, loss, c=scale.to_rgba(params), s=14, zorder=4)
    drawing.record(name, "envelope", flops=flops, loss=loss, params=params)
    alpha, scale_c = block["laws"]["loss"]["alpha"], block["laws"]["loss"]["Xc"]["value"]
    grid = np.geomspace(flops.min() / EXTENSION, flops.max() * EXTENSION, 60)
    axes.plot(grid, (scale_c / grid) ** alpha["value"], color=ORANGE, zorder=3, label="power law of the envelope")
    drawing.record(name, "law", flops=grid, loss=(scale_c / grid) ** alpha["value"])
    published_slope(axes, flops, loss, -exponent, "published exponent, through the middle")
    interval = alpha["interval"]
    bounds = f" ({interval['low']:.3f} to {interval['high']:.3f})" if interval else ""
    axes.set_title(f"{title}: exponent {alpha['value']:.3f}{bounds}\nKaplan et al. 2020: {exponent:.3f}")

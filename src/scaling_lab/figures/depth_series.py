"""Kaplan et al. 2020, Figure 6: loss against N with and without embeddings, one series for each depth."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import loss_label, params_label
from scaling_lab.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    annotate,
    legend_below,
    log_counts,
    log_loss,
    new_figure,
    refused,
)  # fmt: skip

SERIES = ((0, 0, "no layers", GREY, "x"), (1, 1, "1 layer", ORANGE, "o"), (2, 2, "2 layers", BLUE, "s"),
          (3, 3, "3 layers", GREEN, "^"), (4, 6, "4 to 6 layers", PURPLE, "D"), (7, 999, "more", RED, "v"))  # fmt: skip
COUNTS = ("params_total", "params_non_embedding")


def depth_series(data: StudyData) -> Drawing:
    """Two panels with the same runs; the line is one power law through all depths."""
    figure, panels = new_figure(2, 11.5, 5.2, sharey=True)
    drawing = Drawing(figure)
    fit = data.fit("depth_series")
    if fit is None:
        annotate(panels[0], "this study does not compare depths", "upper left")
        return drawing
    for axes, column in zip(panels, COUNTS, strict=True):
        _series(axes, column, fit, data, drawing)
        if fit.ok:
            _law(axes, column, fit, drawing)
        axes.set_xlabel(params_label(column))
        log_counts(axes)
        log_loss(axes)
    if not fit.ok:
        refused(panels[0], {"L(N)": fit.reason})
    panels[0].set_ylabel(loss_label(data.loss_column))
    legend_below(figure, panels, 7)
    return drawing


def _series(axes: Axes, column: str, fit: Fit, data: StudyData, drawing: Drawing) -> None:
    layers, sizes, loss = fit.points["n_layer"], fit.points[column], fit.points["loss"]
    for low, high, label, colour, marker in SERIES:
        own = (layers >= low) & (layers <= high) & (sizes > 0)
        if own.any():
            order = np.argsort(sizes[own])
            x, y = sizes[own][order], loss[own][order]
            axes.plot(x, y, marker=marker, color=colour, linewidth=1, label=label)
            drawing.record(column, label, **{column: x, data.loss_column: y})


def _law(axes: Axes, column: str, fit: Fit, drawing: Drawing) -> None:
    block = fit.record["same_models"][column]
    scale, alpha = (block["parameters"][name]["value"] for name in ("Xc", "alpha"))
    sizes = fit.points[column][fit.points["n_layer"] > 0]
    grid = np.geomspace(sizes.min() / 1.3, sizes.max() * 1.3, 50)
    axes.plot(grid, (scale / grid) ** alpha, color=INK, linestyle=(0, (4, 2)), linewidth=1.2, label="one power law")
    drawing.record(column, "law", **{column: grid, "loss": (scale / grid) ** alpha})
    published = ", Kaplan 0.076" if column == COUNTS[1] else ""
    axes.set_title(f"scatter around one law: {block['residual_sd_log']:.2%}\nexponent {alpha:.3f}{published}")

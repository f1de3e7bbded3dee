"""Kaplan et al. 2020, Figure 18: tokens against steps to each loss, at every batch, with the hyperbola of each loss."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import rounded
from scaling_lab.figures.sizes import colour_bar, size_scale
from scaling_lab.figures.style import annotate, log_counts, new_figure, refused
from scaling_lab.science.batch import steps_for_tokens


def batch_hyperbolas(data: StudyData) -> Drawing:
    """One panel for each size; colour is the loss. Hollow: the best rate was at an edge of those tried."""
    fit = data.fit("critical_batch")
    sizes = np.unique(fit.points["params"]) if fit is not None and fit.ok else np.array([])
    figure, panels = new_figure(max(1, len(sizes)), 5.4 * max(1, len(sizes)) + 1, 5.0, sharey=True)
    drawing = Drawing(figure)
    if fit is None or not fit.ok:
        annotate(panels[0], "no batch scan", "upper left")
        if fit is not None:
            refused(panels[0], {"B_crit(L)": fit.reason}, 70)
        return drawing
    losses = np.unique(fit.points["loss"])
    scale = size_scale(losses.tolist())
    for axes, size in zip(panels, sizes, strict=True):
        _panel(axes, fit, float(size), scale, drawing)
        axes.set(title=f"N = {rounded(float(size))}", xlabel="steps")
    panels[0].set_ylabel("tokens processed")
    for axes in panels:
        log_counts(axes)
    log_counts(panels[0], "y")
    colour_bar(figure, panels, scale, [float(f"{loss:.3g}") for loss in losses], "training loss, nats per token")
    return drawing


def _panel(axes: Axes, fit: Fit, size: float, scale: ScalarMappable, drawing: Drawing) -> None:
    for row in fit.record["hyperbolas"]:
        if row["params"] != size:
            continue
        own = (fit.points["params"] == size) & np.isclose(fit.points["loss"], row["loss"])
        steps, tokens = fit.points["steps"][own], fit.points["tokens"][own]
        colour = scale.to_rgba(row["loss"])
        edge = fit.points["rate_at_edge"][own].astype(bool)
        axes.plot(steps[~edge], tokens[~edge], "o", color=colour, markersize=5)
        axes.plot(steps[edge], tokens[edge], "o", color=colour, markersize=5, markerfacecolor="white")
        beyond = np.geomspace(tokens.min() * 0.8, tokens.max() * 1.3, 200)
        beyond = beyond[beyond > row["E_min"] * 1.001]
        curve = steps_for_tokens(beyond, row["S_min"], row["E_min"])
        axes.plot(curve, beyond, color=colour, linewidth=1.2)
        axes.plot(2 * row["S_min"], 2 * row["E_min"], "x", color=colour, markersize=7)
        panel, name = f"N = {size:g}", f"loss {row['loss']:.4g}"
        drawing.record(panel, name, steps=steps, tokens=tokens, batch=fit.points["batch"][own], rate_at_edge=edge)
        drawing.record(panel, f"{name}, hyperbola", steps=curve, tokens=beyond)

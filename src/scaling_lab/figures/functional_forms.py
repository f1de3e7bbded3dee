"""Kaplan et al. 2020, Figure 23: a power law against a logarithm of N, and against a power law with an offset."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import loss_label, params_label
from scaling_lab.figures.sizes import published_slope
from scaling_lab.figures.style import BLUE, GREEN, INK, ORANGE, annotate, legend_below, log_counts, new_figure
from scaling_lab.science.laws import LAWS
from scaling_lab.science.published import PUBLISHED

EXTENSION = 100.0
FORMS = (
    ("power", "power law", ORANGE),
    ("power_offset", "power law and constant", BLUE),
    ("logarithm", "logarithm", GREEN),
)


def functional_forms(data: StudyData) -> Drawing:
    """The forms beyond the data on the left, what each leaves of the data on the right."""
    figure, panels = new_figure(2, 12, 5.2)
    drawing = Drawing(figure)
    fit = data.fit("params")
    if fit is None:
        annotate(panels[0], "this study does not fit L(N)", "upper left")
        return drawing
    column = fit.record["variables"]["X"]["column"]
    x, loss = fit.points["X"], fit.points["loss"]
    panels[0].plot(x, loss, "o", color=INK, zorder=4, label="runs")
    drawing.record("forms", "runs", **{column: x, data.loss_column: loss})
    for name, label, colour in FORMS:
        _form(panels, fit, name, label, colour, drawing)
    exponent = PUBLISHED["kaplan_params"].values["alpha"]
    published_slope(panels[0], x, loss, -exponent, f"Kaplan's exponent, {exponent}")
    panels[0].set(ylim=(max(0.0, 0.6 * loss.min()), 1.05 * loss.max()), ylabel=loss_label(data.loss_column))
    panels[1].axhline(0, color=INK, linewidth=0.8)
    panels[1].set_ylabel("measured over fitted loss, less 1, per cent")
    for axes in panels:
        axes.set_xlabel(params_label(column))
        log_counts(axes)
    legend_below(figure, panels, 2)
    return drawing


def _form(panels: list[Axes], fit: Fit, name: str, label: str, colour: str, drawing: Drawing) -> None:
    x, loss, column = fit.points["X"], fit.points["loss"], fit.record["variables"]["X"]["column"]
    block = fit.record["alternatives"].get(name)
    if block is None:
        return
    if not block["parameters"]:
        panels[0].plot([], [], color=colour, label=f"{label}: refused, {block['reason']['code'].replace('_', ' ')}")
        return
    law, parameters = LAWS[name], {key: entry["value"] for key, entry in block["parameters"].items()}
    grid = np.geomspace(x.min() / 2, x.max() * EXTENSION, 100)
    criterion = f", AICc {block['aicc']:.1f}" if block["aicc"] is not None else ""
    refusal = "" if block["status"] == "ok" else f" ({block['reason']['code'].replace('_', ' ')})"
    curve = law.predict(parameters, {"X": grid})
    panels[0].plot(grid, curve, color=colour, linewidth=1.4, label=f"{label}{criterion}{refusal}")
    drawing.record("forms", label, **{column: grid, "loss": curve})
    order = np.argsort(x)
    off = 100 * (loss / law.predict(parameters, {"X": x}) - 1)
    panels[1].plot(x[order], off[order], "o-", color=colour, linewidth=0.8, markersize=5)
    drawing.record("residuals", label, **{column: x[order], "percent": off[order]})

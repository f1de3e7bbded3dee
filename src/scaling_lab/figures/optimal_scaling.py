"""Kaplan et al. 2020, Figure 14: the best size and the steps it takes, against compute at the runs' batch and C_min."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import flops_label, params_label
from scaling_lab.figures.sizes import published_slope
from scaling_lab.figures.style import BLUE, ORANGE, annotate, legend_below, log_counts, new_figure, refused
from scaling_lab.science.published import ALLOCATIONS

EXTENSION = 3.0
ENVELOPES = (("naive", "C, at the runs' batch", ORANGE), ("adjusted", "$C_{min}$", BLUE))
PUBLISHED_EXPONENTS = {
    "params": {"naive": ALLOCATIONS["kaplan_params_naive"].exponent, "adjusted": ALLOCATIONS["kaplan_params"].exponent},
    "steps": {"adjusted": ALLOCATIONS["kaplan_steps"].exponent},
}


def optimal_scaling(data: StudyData) -> Drawing:
    """Two panels: N on the left, S and S_min on the right."""
    figure, panels = new_figure(2, 12, 5.2)
    drawing = Drawing(figure)
    fit = data.fit("compute_min")
    if fit is None:
        annotate(panels[0], "this study does not fit L(C)", "upper left")
        return drawing
    for axes, quantity in zip(panels, ("params", "steps"), strict=True):
        for name, label, colour in ENVELOPES:
            _points_and_law(axes, quantity, name, label, colour, fit, drawing)
        log_counts(axes)
        log_counts(axes, "y")
        axes.set_xlabel(flops_label(data.flops_convention))
    panels[0].set_ylabel(f"best {params_label(data.params_column)}")
    panels[1].set_ylabel("steps S, or $S_{min}$")
    if not fit.ok:
        refused(panels[0], {"N(C)": fit.reason})
    legend_below(figure, panels, 2)
    return drawing


def _points_and_law(axes: Axes, quantity: str, name: str, label: str, colour: str, fit: Fit, drawing: Drawing) -> None:
    block = fit.record.get(name)
    if block is None or block["status"] != "ok":
        return
    flops, values = fit.points_where("envelope", name, "flops", quantity)
    law = block["laws"][quantity]
    exponent, interval = law["exponent"]["value"], law["exponent"]["interval"]
    middle = law["in_the_middle"]
    axes.plot(flops, values, ".", color=colour, markersize=5, alpha=0.6)
    drawing.record(quantity, name, flops=flops, **{quantity: values})
    grid = np.geomspace(flops.min() / EXTENSION, flops.max() * EXTENSION, 50)
    line = middle["value"] * (grid / middle["flops"]) ** exponent
    bounds = f" ({interval['low']:.2f} to {interval['high']:.2f})" if interval else ""
    symbol = "N" if quantity == "params" else "S"
    axes.plot(grid, line, color=colour, label=f"{symbol} against {label}: power {exponent:.2f}{bounds}")
    drawing.record(quantity, f"{name}, law", flops=grid, **{quantity: line})
    published = PUBLISHED_EXPONENTS[quantity].get(name)
    if published is not None:
        published_slope(axes, flops, values, published, f"Kaplan, {symbol} against {label}: {published:.2f}")

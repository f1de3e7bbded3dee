"""Kaplan et al. 2020, Figure 3: how a growing compute budget is shared by model size, batch and serial steps."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.style import BLUE, GREEN, ORANGE, annotate, log_counts, new_figure, refused
from scaling_lab.science.published import ALLOCATIONS

LARGEST = 1e9  # times the compute, as in the paper
SHARES = (("steps", "serial steps", ORANGE), ("batch", "batch", GREEN), ("params", "model size", BLUE))


def allocation_stack(data: StudyData) -> Drawing:
    """Ours on the left, Table 6 on the right: each band is the factor that one quantity grows by."""
    figure, panels = new_figure(2, 11.5, 5.2, sharey=True)
    drawing = Drawing(figure)
    fit = data.fit("compute_min")
    block = None if fit is None else fit.record.get("adjusted")
    if fit is None:
        annotate(panels[0], "this study does not fit L(C)", "upper left")
    elif block is None or block["status"] != "ok":
        refused(panels[0], {"$C_{min}$": (block or fit.record["critical_batch"])["reason"]})
    else:
        _stack(panels[0], {name: block["laws"][name]["exponent"]["value"] for name, _, _ in SHARES}, "ours", drawing)
    published = {name: ALLOCATIONS[f"kaplan_{name}"].exponent for name, _, _ in SHARES}
    _stack(panels[1], published, "Kaplan et al. 2020, Table 6", drawing)
    panels[0].set_ylabel("multiplicative contribution")
    return drawing


def _stack(axes: Axes, exponents: dict[str, float], title: str, drawing: Drawing) -> None:
    """The bands, from steps upwards; exponents that do not sum to 1, rounded or fitted, end off the diagonal."""
    compute = np.geomspace(1, LARGEST, 60)
    low = np.ones_like(compute)
    for name, label, colour in SHARES:
        high = low * compute ** exponents[name]
        axes.fill_between(compute, low, high, color=colour, alpha=0.55, linewidth=0)
        factor = f"{LARGEST ** exponents[name]:.2g}"
        middle = np.sqrt(low[-12] * high[-12])
        text = f"{label}: $C^{{{exponents[name]:.2f}}}$, {factor} times"
        axes.text(compute[-12], middle, text, ha="right", va="center", fontsize=11)
        drawing.record(title, label, compute=compute, low=low, high=high)
        low = high
    axes.set(xlim=(1, LARGEST), ylim=(0.5, LARGEST * 2), title=title, xlabel="compute, times")
    log_counts(axes)
    log_counts(axes, "y")

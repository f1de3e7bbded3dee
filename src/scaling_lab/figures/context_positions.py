"""Kaplan et al. 2020, Figure 20: loss along the context at every size with its law, and the power of N by position."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import rounded
from scaling_lab.figures.marks import say_missing, with_bars
from scaling_lab.figures.style import (
    BLUE,
    GREY,
    log_counts,
    log_loss,
    new_figure,
    size_colours,
    size_norm,
)
from scaling_lab.science.positions import binned, middles, position_bins


def context_positions(data: StudyData) -> Drawing:
    """Left loss against position T, means between powers of two, and E_T + k T^-p. Right alpha of N by position."""
    figure, (left, right) = new_figure(2, 12.4, 6.2)
    drawing = Drawing(figure)
    fit = data.fit("context")
    if say_missing(left, fit, "the loss along the context") or fit is None:
        return drawing
    _losses(left, fit, drawing)
    _powers(right, fit, drawing)
    return drawing


def _losses(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    sizes = fit.record["sizes"]
    colours, norm = size_colours(), size_norm([size["params_non_embedding"] for size in sizes])
    for size in sizes:
        loss, colour = np.array(size["loss_by_position"]), colours(norm(size["params_non_embedding"]))
        bins = position_bins(len(loss))
        label = rounded(size["params_non_embedding"], 3)
        if size["status"] == "ok":
            law = {name: entry["value"] for name, entry in size["parameters"].items()}
            grid = np.geomspace(1, len(loss), 80)
            line = law["E_T"] + law["k"] * grid ** -law["p"]
            axes.plot(grid, line, color=colour, linewidth=1.3)
            drawing.record("law", label, position=grid, loss_nats=line)
            label += f": {law['E_T']:.1f} + {law['k']:.1f} T$^{{-{law['p']:.2f}}}$"
        axes.plot(
            middles(bins), binned(loss, bins), "o", color=colour, markersize=5, markeredgecolor="white", label=label
        )
        drawing.record("losses", label, position=np.arange(1, len(loss) + 1), loss_nats=loss)
    log_counts(axes)
    log_loss(axes)
    axes.set(xlabel="position T in the context", ylabel="test loss at T, nats per token")
    title = "N, and the law along its context"
    axes.legend(title=title, fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))


def _powers(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    rows = fit.record["positions"]
    middle = middles([(row["first"], row["last"]) for row in rows])
    value, low, high = with_bars(axes, middle, [row["alpha"] for row in rows], color=BLUE, marker="o")
    drawing.record("powers", "alpha", position=middle, alpha=value, low=low, high=high)
    axes.axhline(0.076, color=GREY, linestyle=(0, (4, 2)), label="0.076, the paper's mean over 1024 positions")
    log_counts(axes)
    axes.set(xlabel="position T in the context", ylabel=r"$\alpha_N$ of the loss at T")
    axes.legend(fontsize=10)

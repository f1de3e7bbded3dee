"""Kaplan et al. 2020, Figure 5: what the shape of a model costs at a fixed number of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import rounded
from scaling_lab.figures.marks import colour_of, marker_of, say_missing, with_bars
from scaling_lab.figures.style import GREY, legend_below, log_counts, new_figure

ORDER = ("feed_forward_ratio", "aspect_ratio", "head_dimension")


def shape(data: StudyData) -> Drawing:
    """One panel per parameter of the shape; the increase over the best in per cent, sizes made equal by L(N)."""
    figure, panels = new_figure(3, 14.5, 4.9, sharey=True)
    drawing = Drawing(figure)
    fit = data.fit("shape")
    if say_missing(panels[0], fit, "the effect of shape") or fit is None:
        return drawing
    series = fit.record["panels"]
    for axes, axis in zip(panels, ORDER, strict=True):
        own = [entry for entry in series if entry["axis"] == axis]
        for place, entry in enumerate(own):
            _series(axes, entry, place, drawing, named=len(own) > 1)
        _finish(axes, own)
    panels[0].set_ylabel("increase of the loss over the best shape, %")
    legend_below(figure, panels, 5)
    return drawing


def _series(axes: Axes, entry: dict[str, Any], place: int, drawing: Drawing, *, named: bool) -> None:
    x, colour = np.array(entry["values"]), colour_of(place)
    label = f"N = {rounded(entry['reference_params'], 2)}"
    value, low, high = with_bars(
        axes,
        x,
        entry["increase_percent"],
        color=colour,
        marker=marker_of(place),
        linestyle="none",
        label=label if named else None,
    )
    parabola = entry["parabola"]
    if parabola["status"] == "ok":
        grid = np.geomspace(x.min(), x.max(), 80)
        loss = np.polyval(parabola["coefficients"], np.log(grid) - parabola["centre"])
        axes.plot(grid, 100 * (loss / min(entry["adjusted_loss"]) - 1), color=colour, linewidth=1.2)
    chance = entry["chance_percent"]["interval"]
    if chance:
        words = "seeds alone"
        axes.axhspan(0, chance["high"], color=GREY, alpha=0.13, linewidth=0, label=words if place == 0 else None)
    drawing.record(
        entry["axis"], label, shape=x, params_non_embedding=entry["params"], loss_nats=entry["loss"],
        adjusted_loss_nats=entry["adjusted_loss"], increase_percent=value, low_percent=low, high_percent=high,
    )  # fmt: skip


def _finish(axes: Axes, own: list[dict[str, Any]]) -> None:
    axes.axhline(3.0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), label="3 %: the paper's aspect ratios")
    log_counts(axes)
    if not own:
        axes.set_title("no series of three shapes", fontsize=11)
        return
    axes.set_xlabel(own[0]["label"])
    best = own[0]["parabola"]
    words = own[0]["label"].split(" d_")[0]
    found = f"best {best['best']['value']:.3g}" if best["status"] == "ok" else best["reason"]["code"].replace("_", " ")
    size = rounded(own[0]["reference_params"], 2)
    axes.set_title(f"{words} at N = {size}: {found}", fontsize=11)

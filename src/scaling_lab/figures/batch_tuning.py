"""The best batch at fixed tokens: the sweeps, and how far from it each cell was trained and published rules lie."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.distances import draw_distances, label_distances
from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import rounded, with_interval
from scaling_lab.figures.style import log_counts, log_loss, new_figure, refused, size_colours, size_norm

STYLES = ("-", (0, (4, 2)), (0, (1, 2)))  # from the most tokens to the fewest


def batch_tuning(data: StudyData) -> Drawing:
    """Left: loss against batch at fixed tokens. Middle: batch over the best for its N and D; right: excess loss."""
    fit = data.fit("batch_tuning")
    figure, (sweeps, left, right) = new_figure(3, 18, 5.4)
    drawing = Drawing(figure)
    if fit is not None and fit.record.get("sweeps"):
        _sweeps(sweeps, fit, drawing)
    if fit is not None and fit.ok:
        draw_distances(left, right, fit, drawing)
        tokens, params = (with_interval(fit, name) for name in ("beta_D", "beta_N"))
        left.set_title(rf"best batch grows as $D^p N^r$: p = {tokens}, r = {params}", fontsize=10)
    elif fit is not None:
        refused(left, {"the rule of the batch": fit.reason}, 60)
    label_distances(left, right, "batch over the measured best")
    return drawing


def _sweeps(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    sweeps = fit.record["sweeps"]
    colours, norm = size_colours(), size_norm([sweep["params_non_embedding"] for sweep in sweeps])
    amounts = sorted({sweep["tokens"] for sweep in sweeps}, reverse=True)
    for sweep in sweeps:
        colour = colours(norm(sweep["params_non_embedding"]))
        batches, loss = np.array(sweep["batches"]), np.array(sweep["loss"])
        style = STYLES[amounts.index(sweep["tokens"]) % len(STYLES)]
        label = f"N = {rounded(sweep['params_non_embedding'], 3)}, D = {rounded(sweep['tokens'], 2)}"
        grid = np.geomspace(batches.min(), batches.max(), 80)
        parabola = np.polyval(sweep["coefficients"], np.log(grid) - sweep["centre"])
        axes.plot(grid, parabola, color=colour, linestyle=style, linewidth=1.2)
        edge = np.array(sweep["rate_at_edge"], dtype=bool)
        axes.plot(batches[~edge], loss[~edge], "o", color=colour, markersize=5, markeredgecolor="white")
        axes.plot(batches[edge], loss[edge], "o", color=colour, markersize=5, markerfacecolor="white")
        drawing.record("sweeps", label, batch_tokens=batches, loss_nats=loss, rate=sweep["rates"], rate_at_edge=edge)
        if sweep["status"] == "ok":
            at = np.log(sweep["best"]["value"]) - sweep["centre"]
            lowest = np.polyval(sweep["coefficients"], at)
            axes.plot(sweep["best"]["value"], lowest, "*", color=colour, markersize=13, label=label)
    log_counts(axes)
    log_loss(axes)
    axes.set(xlabel="batch, tokens per step", ylabel="training loss at fixed tokens, nats per token")
    axes.set_title("stars: best batch, none where refused; hollow: best rate at the edge of those tried", fontsize=10)
    axes.legend(fontsize=8.5, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))

"""Kaplan et al. 2020, appendix D.6: loss against peak rate at every size, and the best rates with their rules."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import loss_label, params_label, rounded
from scaling_lab.figures.marks import with_bars
from scaling_lab.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    annotate,
    log_counts,
    log_loss,
    new_figure,
    refused,
    size_colours,
    size_norm,
)
from scaling_lab.science.hyperparameters import kaplan_rate


def learning_rate(data: StudyData) -> Drawing:
    """Left one parabola per size, its minimum a star. Right best rate against N, both rules fitted and Eq D.1."""
    figure, (left, right) = new_figure(2, 12.4, 5.0)
    drawing = Drawing(figure)
    fit = data.fit("learning_rate")
    if fit is None or "sizes" not in fit.record:
        annotate(left, "this study has no sweep of rates", "upper left")
        return drawing
    _sweeps(left, fit, data, drawing)
    _rules(right, fit, drawing)
    return drawing


def _sweeps(axes: Axes, fit: Fit, data: StudyData, drawing: Drawing) -> None:
    sizes = fit.record["sizes"]
    colours, norm = size_colours(), size_norm([size["params_non_embedding"] for size in sizes])
    for size in sizes:
        rates, loss, colour = (
            np.array(size["rates"]),
            np.array(size["loss"]),
            colours(norm(size["params_non_embedding"])),
        )
        grid = np.geomspace(rates.min(), rates.max(), 80)
        parabola = np.polyval(size["coefficients"], np.log(grid) - size["centre"])
        label = f"N = {rounded(size['params_non_embedding'], 3)}"
        style = "-" if size["status"] == "ok" else (0, (2, 2))
        axes.plot(grid, parabola, color=colour, linestyle=style, linewidth=1.3)
        axes.plot(rates, loss, "o", color=colour, markeredgecolor="white", label=label)
        drawing.record("sweeps", label, learning_rate=rates, loss_nats=loss)
        drawing.record("sweeps", f"{label}, parabola", learning_rate=grid, loss_nats=parabola)
        if size["status"] == "ok":
            at = np.log(size["best"]["value"]) - size["centre"]
            axes.plot(size["best"]["value"], np.polyval(size["coefficients"], at), "*", color=colour, markersize=14)
    log_counts(axes)
    log_loss(axes)
    axes.set(xlabel="peak learning rate", ylabel=loss_label(data.loss_column))
    axes.legend(fontsize=10)
    axes.set_title("stars: best rate; dotted: refused", fontsize=11)


def _rules(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    sizes = [size for size in fit.record["sizes"] if size["status"] == "ok"]
    params = np.array([size["params_non_embedding"] for size in fit.record["sizes"]])
    grid = np.geomspace(params.min() / 2, params.max() * 2, 80)
    recipe = np.array([size["recipe_rate"] for size in fit.record["sizes"]])
    axes.plot(params, recipe, "x", color=GREY, label="the recipe's rate: the middle of the sweep")
    published = np.array([kaplan_rate(float(size)) for size in grid])
    axes.plot(grid, published, color=GREY, linestyle=(0, (4, 2)), label="Eq D.1, tuned at $2^{19}$ tokens a step")
    drawing.record("rule", "Eq D.1", params_non_embedding=grid, learning_rate=published)
    if sizes:
        at = np.array([size["params_non_embedding"] for size in sizes])
        entries = [size["best"] for size in sizes]
        value, low, high = with_bars(axes, at, entries, color=BLUE, marker="o", linestyle="none", label="best rate")
        drawing.record("rule", "best rate", params_non_embedding=at, learning_rate=value, low=low, high=high)
    if fit.ok:
        linear = fit.value("a") + fit.value("b") * np.log(grid)
        power = fit.value("c") * grid ** -fit.value("q")
        axes.plot(grid[linear > 0], linear[linear > 0], color=BLUE, label="a + b log N, the form of Eq D.1")
        axes.plot(grid, power, color=ORANGE, label=rf"$c\,N^{{-{fit.value('q'):.2f}}}$")
        drawing.record("rule", "a + b log N", params_non_embedding=grid, learning_rate=linear)
        drawing.record("rule", "c N^-q", params_non_embedding=grid, learning_rate=power)
    else:
        refused(axes, {"the rule": fit.reason}, 60)
    log_counts(axes)
    log_counts(axes, "y")
    axes.set(xlabel=params_label("params_non_embedding"), ylabel="best peak learning rate")
    axes.legend(fontsize=9.5, loc="upper center", bbox_to_anchor=(0.5, -0.14))

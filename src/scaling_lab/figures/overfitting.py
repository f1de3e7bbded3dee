"""Kaplan et al. 2020, Figure 9: early-stopped loss against size for each amount of data, and overfitting."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import loss_label, params_label, rounded, with_interval
from scaling_lab.figures.marks import say_missing
from scaling_lab.figures.style import (
    GREY,
    INK,
    ORANGE,
    log_counts,
    log_loss,
    new_figure,
    size_colours,
    size_norm,
)
from scaling_lab.science.overfitting import overfit_excess


def overfitting(data: StudyData) -> Drawing:
    """Left L against N, a line of Eq 1.5 per D. Right L / L(D = inf) - 1 against N^(alpha_N / alpha_D) / D, Eq 4.3."""
    figure, (left, right) = new_figure(2, 12.0, 5.0)
    drawing = Drawing(figure)
    fit = data.fit("early_stopped")
    if say_missing(left, fit, "early-stopped L(N, D)") or fit is None:
        return drawing
    _losses(left, fit, data, drawing)
    _excess(right, fit, drawing)
    return drawing


def _losses(axes: Axes, fit: Fit, data: StudyData, drawing: Drawing) -> None:
    params, tokens, loss = (fit.points[name] for name in ("N", "D", "loss"))
    amounts = sorted(set(tokens.tolist()))
    colours, norm = size_colours(), size_norm(amounts)
    grid = np.geomspace(params.min() / 1.6, params.max() * 1.6, 60)
    for amount in amounts:
        colour, own = colours(norm(amount)), tokens == amount
        variables = {"N": grid, "D": np.full_like(grid, amount)}
        line, band = fit.predict(variables, "kaplan"), fit.band(variables, data.level, "kaplan")
        axes.plot(grid, line, color=colour, linewidth=1.5, zorder=3)
        if band is not None:
            axes.fill_between(grid, *band, color=colour, alpha=0.15, linewidth=0, zorder=2)
        label = rounded(amount, 3)
        axes.plot(params[own], loss[own], "o", color=colour, markeredgecolor="white", label=label, zorder=4)
        drawing.record("loss", "runs", unique_tokens=amount, params_non_embedding=params[own], loss_nats=loss[own])
        drawing.record("loss", "Eq 1.5", unique_tokens=amount, params_non_embedding=grid, loss_nats=line)
    log_counts(axes)
    log_loss(axes)
    axes.set(xlabel=params_label("params_non_embedding"), ylabel=f"early-stopped {loss_label(data.loss_column)}")
    axes.legend(title="D: unique tokens", fontsize=10)
    exponents = "\n".join(
        rf"$\alpha_{letter}$ = {with_interval(fit, f'alpha_{letter}', 3)} (paper {published})"
        for letter, published in (("N", 0.076), ("D", 0.103))
    )
    axes.set_title(exponents, fontsize=10)


def _excess(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    points = fit.points
    limited = points["D"] < points["D"].max()
    x, excess = points["abscissa"][limited], points["excess_over_limit"][limited]
    measured = points["excess"][limited]
    sizes = sorted(set(points["N"].tolist()))
    colours, norm = size_colours(), size_norm(sizes)
    law = {name: fit.value(name) for name in ("Nc", "Dc", "alpha_N", "alpha_D")}
    grid = np.geomspace(x.min() / 1.5, x.max() * 1.5, 80)
    # Eq 4.3 in the abscissa alone: at N = Nc, x = Nc^(alpha_N / alpha_D) / D.
    of_law = overfit_excess(law["Nc"], law["Nc"] ** (law["alpha_N"] / law["alpha_D"]) / grid, law)
    axes.plot(grid, of_law, color=ORANGE, zorder=3, label="Eq 4.3")
    axes.axhline(0.02, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(grid[0], 0.02, " 2 %", color=GREY, va="bottom", fontsize=10)
    for size in sizes:
        own = points["N"][limited] == size
        label = f"N = {rounded(size, 3)}"
        axes.plot(x[own], excess[own], "o", color=colours(norm(size)), markeredgecolor="white", label=label, zorder=4)
        axes.plot(x[own], measured[own], "o", color=colours(norm(size)), markerfacecolor="white", zorder=3)
        drawing.record(
            "overfitting", "runs", params_non_embedding=size, abscissa=x[own], excess_over_limit=excess[own],
            excess_over_most_data=measured[own],
        )  # fmt: skip
    drawing.record("overfitting", "Eq 4.3", abscissa=grid, excess=of_law)
    axes.axhline(0, color=INK, linewidth=0.8)
    log_counts(axes)
    axes.set(xlabel=r"$N^{\alpha_N / \alpha_D} / D$", ylabel=r"$L(N, D) / L(N, D = \infty) - 1$")
    axes.legend(fontsize=10)
    exponent = rf"$\alpha_N / \alpha_D$ = {with_interval(fit, 'overfitting_exponent')} (paper 0.74)"
    axes.set_title(f"{exponent}\nhollow: L(N, D = inf) is the run on the most data", fontsize=10)

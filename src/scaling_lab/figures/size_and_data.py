"""Kaplan et al. 2020, Figure 4 left: test loss against data, one curve per size, all drawn from one law L(N, D)."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import DATA, PARAMS, loss_label, with_interval
from scaling_lab.figures.style import (
    log_counts,
    log_loss,
    new_figure,
    power_of_ten,
    refused,
    size_colours,
    size_norm,
)
from scaling_lab.science.laws import Array


def size_and_data(data: StudyData) -> Drawing:
    """Runs as points, Kaplan's L(N, D) as lines with its interval; several seeds of a cell are several points."""
    fit = data.fit("kaplan")
    figure, (axes,) = new_figure(1, 8.4, 5.2)
    drawing = Drawing(figure)
    column = fit.record["variables"]["N"]["column"] if fit else data.params_column
    amount = fit.record["variables"]["D"]["column"] if fit else "tokens"
    runs = [data.runs_by_id[run] for run in fit.points["run"]] if fit else data.runs
    sizes = sorted({row[column] for row in runs})
    colours, norm = size_colours(), size_norm(sizes)
    tokens = np.array([row[amount] for row in runs])
    grid = np.geomspace(tokens.min() / 1.6, tokens.max() * 1.6, 80)
    for size, rows in groupby(sorted(runs, key=lambda r: (r[column], r[amount])), lambda r: r[column]):
        colour, members = colours(norm(size)), list(rows)
        if fit and fit.ok:
            _law(axes, fit, column, size, grid, colour, data, drawing)
        x, loss = (np.array([row[name] for row in members]) for name in (amount, data.loss_column))
        label = power_of_ten(float(f"{size:.3g}"))
        axes.plot(x, loss, "o", color=colour, markeredgecolor="white", markeredgewidth=0.7, zorder=4, label=label)
        drawing.record("L(N, D)", "runs", **{column: size, amount: x, data.loss_column: loss})
    _finish(axes, fit, PARAMS[column], amount, data)
    return drawing


def _law(
    axes: Axes, fit: Fit, column: str, size: float, grid: Array, colour: object, data: StudyData, drawing: Drawing
) -> None:
    variables = {"N": np.full_like(grid, size), "D": grid}
    loss, band = fit.predict(variables), fit.band(variables, data.level)
    axes.plot(grid, loss, color=colour, linewidth=1.5, zorder=3)
    columns = {column: size, fit.record["variables"]["D"]["column"]: grid, data.loss_column: loss}
    if band is not None:
        axes.fill_between(grid, *band, color=colour, alpha=0.2, linewidth=0, zorder=2)
        columns |= {f"{data.loss_column}_low": band[0], f"{data.loss_column}_high": band[1]}
    drawing.record("L(N, D)", f"Kaplan's law, band {data.level:g}", **columns)


def _finish(axes: Axes, fit: Fit | None, convention: str, amount: str, data: StudyData) -> None:
    log_counts(axes)
    log_loss(axes)
    axes.set(xlabel=f"D: {DATA[amount]}", ylabel=loss_label(data.loss_column))
    handles, labels = axes.get_legend_handles_labels()
    title = "N: " + convention.replace(" ", "\n", 1)
    axes.legend(handles, labels, title=title, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=11)
    if fit is None:
        return
    if fit.ok:
        law = r"$L(N, D) = [(N_c / N)^{\alpha_N / \alpha_D} + D_c / D]^{\alpha_D}$"
        exponents = (
            rf"$\alpha_N$ = {with_interval(fit, 'alpha_N', 3)},  $\alpha_D$ = {with_interval(fit, 'alpha_D', 3)}"
        )
        axes.set_title(f"{law}\n{exponents}")
    else:
        refused(axes, {"Kaplan's L(N, D)": fit.reason}, 70)

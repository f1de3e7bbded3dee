"""Muennighoff et al. 2023, Figures 3 and 5: loss of repeated passes, and what a repeated token is worth."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import PARAMS, loss_label, with_interval
from scaling_lab.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    annotate,
    log_counts,
    log_loss,
    new_figure,
    power_of_ten,
    refused,
    size_colours,
    size_norm,
)
from scaling_lab.science.laws import Array, effective_tokens
from scaling_lab.science.published import PUBLISHED

MOST_EPOCHS = 60.0


def data_limits(data: StudyData) -> Drawing:
    """Left: loss against tokens read, one line per size and amount of text; right: worth of the tokens by epochs."""
    fit = data.fit("data_limits")
    figure, (left, right) = new_figure(2, 13.5, 6)
    drawing = Drawing(figure)
    rows = [data.runs_by_id[run] for run in fit.points["run"]] if fit else data.runs
    colours, norm = size_colours(), size_norm([row[data.params_column] for row in rows])
    texts = sorted({_text(row) for row in rows})
    markers = dict(zip(texts, "os^Dv*PX", strict=False))
    ordered = sorted(rows, key=lambda row: (row[data.params_column], _text(row), row["tokens"]))
    for (size, text), members in groupby(ordered, lambda row: (row[data.params_column], _text(row))):
        group = list(members)
        tokens, loss = (np.array([row[name] for row in group], dtype=float) for name in ("tokens", data.loss_column))
        label = f"{power_of_ten(float(f'{size:.3g}'))}, {'one pass' if text == 0 else f'{text:.3g} unique tokens'}"
        left.plot(tokens, loss, markers.get(text, "o"), color=colours(norm(size)), label=label, zorder=4)
        drawing.record("loss", label, **{data.params_column: size, "tokens": tokens, data.loss_column: loss})
        if fit is not None and fit.ok:
            _line(left, fit, size, text, tokens, colours(norm(size)), drawing)
    _worth(right, fit, data, drawing)
    log_counts(left)
    log_loss(left)
    left.set(xlabel="D: tokens read, repeats counted", ylabel=loss_label(data.loss_column))
    figure.legend(
        *left.get_legend_handles_labels(), title="N: " + PARAMS[data.params_column], fontsize=9, ncols=5,
        loc="outside lower center",
    )  # fmt: skip
    return drawing


def _text(row: dict[str, Any]) -> float:
    """Unique tokens of a run that repeats them, 0 of one that does not."""
    return row["unique_tokens"] if row["tokens"] > 1.001 * row["unique_tokens"] else 0


def _line(axes: Axes, fit: Fit, size: float, text: float, tokens: Array, colour: object, drawing: Drawing) -> None:
    grid = np.geomspace(tokens.min() / 1.2, tokens.max() * 1.2, 60)
    unique = np.full_like(grid, text) if text else grid
    loss = fit.predict({"N": np.full_like(grid, size), "D": grid, "U": unique})
    axes.plot(grid, loss, color=colour, linewidth=1.4, linestyle="--" if text else "-", zorder=3)
    drawing.record("loss", f"law at N {size:.4g}, U {text:.4g}", tokens=grid, loss_nats=loss)


def _worth(axes: Axes, fit: Fit | None, data: StudyData, drawing: Drawing) -> None:
    """Effective over unique tokens against epochs: this study's R_D* and the published one."""
    epochs = np.geomspace(1, MOST_EPOCHS, 80)
    axes.plot(epochs, epochs, color=GREY, linewidth=1, linestyle="--", label="as good as new tokens")
    published = PUBLISHED["muennighoff"].values["R_D"]
    axes.plot(epochs, effective_tokens(epochs, 1.0, published), color=ORANGE,
              label=f"Muennighoff et al. 2023, $R_D^*$ = {published:.1f}")  # fmt: skip
    if fit is not None and fit.ok:
        worth = effective_tokens(epochs, 1.0, fit.value("R_D"))
        axes.plot(epochs, worth, color=BLUE, label="these runs")
        columns = {"epochs": epochs, "effective_over_unique": worth}
        drawn = effective_tokens(epochs[None, :], 1.0, fit.draws["R_D"][:, None])
        if len(drawn) >= 20:
            low, high = np.quantile(drawn, [(1 - data.level) / 2, (1 + data.level) / 2], axis=0)
            axes.fill_between(epochs, low, high, color=BLUE, alpha=0.2, linewidth=0)
            columns |= {"effective_low": low, "effective_high": high}
        drawing.record("worth", f"these runs, band {data.level:g}", **columns)
        annotate(axes, f"$R_D^*$ = {with_interval(fit, 'R_D')}\n$R_N^*$ = {with_interval(fit, 'R_N')}", "lower right")
    elif fit is not None:
        refused(axes, {"data-constrained law": fit.reason}, 60)
    log_counts(axes)
    log_counts(axes, "y")
    axes.set(
        xlabel="epochs: tokens read over unique tokens",
        ylabel="worth of the tokens read,\nin multiples of the unique ones",
    )
    axes.legend(loc="upper left")

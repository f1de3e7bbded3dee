"""Kaplan et al. 2020, Figure 16: the step at which limited data turn the loss, against its bound; and the curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import rounded
from scaling_lab.figures.marks import say_missing
from scaling_lab.figures.style import (
    INK,
    log_counts,
    log_loss,
    new_figure,
    size_colours,
    size_norm,
)
from scaling_lab.science.laws import Array


def early_stopping(data: StudyData) -> Drawing:
    """Left measured against bound, Eq 5.7, or alone where that is refused. Right the largest model, as it trains."""
    figure, (left, right) = new_figure(2, 12.0, 5.0)
    drawing = Drawing(figure)
    fit = data.fit("stopping_bound")
    refused = say_missing(left, fit, "the bound on the stopping step")
    if fit is not None:
        (_excess if refused else _bound)(left, fit, drawing)
    _curves(right, data, drawing)
    return drawing


def _bound(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    points = fit.points
    turned = points["turned"].astype(bool) & np.isfinite(points["bound"])
    bound, step = points["bound"][turned], points["stopping_step"][turned]
    _by_data(axes, points["D"][turned], bound, step)
    drawing.record("bound", "runs", unique_tokens=points["D"][turned], bound_steps=bound, stopping_step=step)
    ends = np.array([min(bound.min(), step.min()) / 1.5, max(bound.max(), step.max()) * 1.5])
    axes.plot(ends, ends, color=INK, linewidth=1, zorder=1)
    axes.set(xlim=ends, ylim=ends)
    log_counts(axes)
    axes.set(
        xlabel=r"$S_c\ [L(N, D) - L(N, \infty)]^{-1/\alpha_S}$, steps",
    )
    share = next(f for f in fit.record["findings"] if f["quantity"].startswith("share"))
    axes.set_title(f"{100 * share['value']:.0f} % of {turned.sum()} runs at or above the bound (paper: all)")


def _excess(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    """What was measured of a bound that is not identified: the step against what the data's limit costs in loss."""
    points = fit.points
    excess = points["loss"] - points["unlimited_loss"]
    turned = points["turned"].astype(bool) & (excess > 0)
    step, amounts = points["stopping_step"][turned], points["D"][turned]
    _by_data(axes, amounts, excess[turned], step)
    drawing.record("excess", "runs", unique_tokens=amounts, excess_nats=excess[turned], stopping_step=step)
    axes.set(xlabel=r"$L(N, D) - L(N, \infty)$, nats per token")
    axes.invert_xaxis()


def _by_data(axes: Axes, amounts: Array, x: Array, step: Array) -> None:
    """Steps of the best validation loss, a colour for each amount of data."""
    colours, norm = size_colours(), size_norm(sorted(set(amounts.tolist())))
    for amount in sorted(set(amounts.tolist())):
        own, label = amounts == amount, rounded(amount, 3)
        axes.plot(x[own], step[own], "o", color=colours(norm(amount)), markeredgecolor="white", label=label)
    log_counts(axes, "y")
    axes.set_ylabel("step of the best validation loss")
    axes.legend(title="D: unique tokens", fontsize=10)


def _curves(axes: Axes, data: StudyData, drawing: Drawing) -> None:
    curves = [(row, curve) for row, curve in data.curves() if row.get("stops_early")]
    if not curves:
        return
    largest = max(row["params_non_embedding"] for row, _ in curves)
    chosen: list[tuple[dict[str, Any], Any]] = [pair for pair in curves if pair[0]["params_non_embedding"] == largest]
    amounts = sorted({row["unique_tokens"] for row, _ in chosen})
    colours, norm = size_colours(), size_norm(amounts)
    for row, curve in sorted(chosen, key=lambda pair: pair[0]["unique_tokens"]):
        colour = colours(norm(row["unique_tokens"]))
        seen = curve["progress"] >= 0.01
        held = np.isfinite(curve["validation_loss_nats"].astype(float))
        train = curve["train_loss_smoothed_nats"].astype(float)
        step, validation = curve["step"], curve["validation_loss_nats"].astype(float)
        axes.plot(step[seen], train[seen], color=colour, linestyle=(0, (3, 2)), linewidth=1.2)
        axes.plot(step[held], validation[held], color=colour, label=rounded(row["unique_tokens"], 3))
        drawing.record("curves", row["run"], kind="train", step=step[seen], loss_nats=train[seen])
        drawing.record("curves", row["run"], kind="validation", step=step[held], loss_nats=validation[held])
    log_counts(axes)
    log_loss(axes)
    axes.set(xlabel="step", ylabel="loss, nats per token")
    axes.legend(title="D: unique tokens", fontsize=10)
    axes.set_title(f"N = {rounded(largest, 3)}: validation solid, training dashed")

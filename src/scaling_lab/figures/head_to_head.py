"""Hoffmann et al. 2022, appendix D.4: a held-out budget, what was promised for it and what was measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import flops_words, loss_label, params_label
from scaling_lab.figures.marks import say_missing
from scaling_lab.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, log_counts, new_figure

_RULES = {
    "isoflop_parabola": "Approach 2",
    "variable_projection": "Approach 3",
    "kaplan": "Kaplan's L(N, D)",
}
_COLOURS = (GREEN, RED, BLUE, PURPLE, GREY)
_LAWS = {"hoffmann": ("Hoffmann's law", ORANGE, 0.97), "kaplan": ("Kaplan's law", BLUE, 1.03)}


def head_to_head(data: StudyData) -> Drawing:
    """Measured losses of the models at the budget, both laws' predictions, and the sizes that the rules ask for."""
    fit = data.fit("head_to_head")
    figure, (axes,) = new_figure(1, 9.5, 5.4)
    drawing = Drawing(figure)
    if not say_missing(axes, fit, "head to head") and fit is not None:
        _predictions(axes, fit.record["predictions"], drawing)
        trained = fit.record["trained"]
        params, loss = (np.array([row[name] for row in trained], dtype=float) for name in ("params", "loss"))
        axes.plot(params, loss, "o", color=INK, markersize=9, zorder=6, label="trained and measured")
        drawing.record("held out", "measured", **{data.params_column: params, data.loss_column: loss})
        _picks(axes, fit.record["picks"], drawing)
        axes.set_title(
            f"C = {fit.record['flops']:.3g} FLOPs ({flops_words(data.flops_convention)}),\n"
            f"{fit.record['times_the_largest_below']:.2f} times the largest run that the laws know",
            fontsize=11,
        )
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    log_counts(axes)
    axes.set(xlabel=params_label(data.params_column), ylabel=loss_label(data.loss_column))
    return drawing


def _predictions(axes: Axes, laws: list[dict[str, Any]], drawing: Drawing) -> None:
    for law in laws:
        label, colour, shift = _LAWS[law["law"]]
        if law["status"] != "ok":
            continue
        params, predicted = (
            np.array([run[name] for run in law["runs"]], dtype=float) for name in ("params", "predicted")
        )
        for width, index in ((5, 0), (1.5, 1)):
            low, high = (np.array([run["intervals"][index][end] for run in law["runs"]]) for end in ("low", "high"))
            level = law["runs"][0]["intervals"][index]["level"]
            axes.vlines(params * shift, low, high, color=colour, linewidth=width, alpha=0.6, zorder=3)
            columns = {"params": params, "predicted": predicted, "low": low, "high": high}
            drawing.record("held out", f"{label}, interval {level:g}", **columns)
        axes.plot(params * shift, predicted, "_", color=colour, markersize=14, label=f"{label}: 80 and 95 %", zorder=4)


def _picks(axes: Axes, picks: list[dict[str, Any]], drawing: Drawing) -> None:
    for number, pick in enumerate(pick for pick in picks if pick["status"] == "ok"):
        words = _RULES.get(pick["rule"], pick["rule"])
        colour, dashes = _COLOURS[number % len(_COLOURS)], ("-", "--", ":", "-.")[number % 4]
        label = f"{words} asks for"
        axes.axvline(pick["params"], linewidth=1.6, label=label, color=colour, linestyle=dashes)
        drawing.record("held out", label, params=pick["params"])

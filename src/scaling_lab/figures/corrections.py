"""Porian et al. 2024, Figure 1, on a study's own runs: the exponent of N*(C) step by step."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.style import BLUE, GREY, INK, RED, log_counts, new_figure, refused, size_colours

KAPLAN, HOFFMANN = 0.88, 0.5  # fixed batch (Kaplan et al. 2020, Figure 14), and Approach 1 of Hoffmann et al. 2022


def corrections(data: StudyData) -> Drawing:
    """Left: a on every rung with its interval, Porian's beside it; right: N*(C) on every rung."""
    fit = data.fit("corrections")
    figure, (left, right) = new_figure(2, 13, 5.2, width_ratios=[1.25, 1])
    drawing = Drawing(figure)
    rungs = fit.record.get("rungs", []) if fit else []
    if fit is None or not fit.ok:
        refused(left, {"corrections": fit.reason} if fit else {}, 60)
    if rungs and fit is not None:
        _exponents(left, rungs, fit.record["published"]["a"], data.level, drawing)
        _lines(right, rungs, drawing)
        log_counts(right)
        log_counts(right, "y")
        right.legend(fontsize=9, loc="upper left")
    right.set(xlabel="C: training FLOPs as the step counts them", ylabel="best N as the step counts it")
    return drawing


def _exponents(
    axes: Axes, rungs: list[dict[str, Any]], published: dict[str, float], level: float, drawing: Drawing
) -> None:
    for value, words in ((KAPLAN, "Kaplan, fixed batch: 0.88"), (HOFFMANN, "Hoffmann, Approach 1: 0.50")):
        axes.axhline(value, color=GREY, linewidth=1, linestyle="--")
        axes.text(len(rungs) - 0.55, value, words, fontsize=9, ha="right", va="bottom", color="#5A5A5A")
    at = [i for i, rung in enumerate(rungs) if rung["status"] == "ok"]
    values = np.array([rungs[i]["a"]["value"] for i in at])
    ends = [rungs[i]["a"]["interval"] or {"low": np.nan, "high": np.nan} for i in at]
    low, high = (np.array([end[name] for end in ends], dtype=float) for name in ("low", "high"))
    reach = np.nan_to_num([np.maximum(values - low, 0), np.maximum(high - values, 0)])
    axes.errorbar(at, values, yerr=reach, fmt="o-", color=BLUE, capsize=5, zorder=4,
                  label=f"these runs, {100 * level:g} % interval")  # fmt: skip
    others = [(i, published[rung["name"]]) for i, rung in enumerate(rungs) if rung["name"] in published]
    axes.plot(
        *zip(*others, strict=True), "D--", color=INK, alpha=0.55, markersize=5, label="Porian et al. 2024, RefinedWeb"
    )
    for i, rung in enumerate(rungs):
        if rung["status"] != "ok":
            axes.text(i, 0.02, "refused", transform=axes.get_xaxis_transform(), color=RED, ha="center", fontsize=10)
    axes.set_xticks(range(len(rungs)), ["\n".join(textwrap.wrap(_step(i, rung), 13)) for i, rung in enumerate(rungs)])
    axes.set(ylabel="a: the best size grows as compute to this power", xlim=(-0.5, len(rungs) - 0.5))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=2)
    drawing.record("exponent", f"these runs, interval {level:g}", rung=[rungs[i]["name"] for i in at], a=values,
                   a_low=low, a_high=high)  # fmt: skip
    drawing.record(
        "exponent", "Porian et al. 2024", rung=[rungs[i]["name"] for i, _ in others], a=[a for _, a in others]
    )


def _step(index: int, rung: dict[str, Any]) -> str:
    return rung["label"] if index == 0 else f"+ {rung['label']}"


def _lines(axes: Axes, rungs: list[dict[str, Any]], drawing: Drawing) -> None:
    colours = size_colours()
    for i, rung in enumerate(rungs):
        if rung["status"] != "ok":
            continue
        flops, params = np.array(rung["flops"]), np.array(rung["params_opt"])
        colour = colours(i / max(len(rungs) - 1, 1))
        axes.plot(flops, params, "o-", color=colour, markersize=4, label=_step(i, rung))
        drawing.record("best size", rung["name"], flops=flops, params=params)

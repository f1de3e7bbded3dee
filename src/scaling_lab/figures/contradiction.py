"""Kaplan et al. 2020, Figure 15: L(C_min) against the loss that its own data allow, and the compute where they meet."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import rounded
from scaling_lab.figures.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    annotate,
    legend_below,
    log_counts,
    log_loss,
    new_figure,
    refused,
)
from scaling_lab.science.crossing import crossing
from scaling_lab.science.frontier import TrainingLaw
from scaling_lab.science.laws import power
from scaling_lab.science.published import ALLOCATIONS, PUBLISHED

CONSTANTS = ("Nc", "Sc", "alpha_N", "alpha_S", "B_star", "alpha_B")
DECADES = 3.0  # shown on either side of the measured compute and the crossing


def contradiction(data: StudyData) -> Drawing:
    """Ours on the left, from our constants; the paper's on the right, Table 5 with Table 6."""
    figure, panels = new_figure(2, 12.5, 5.2)
    drawing = Drawing(figure)
    fit = data.fit("frontier")
    if fit is None:
        annotate(panels[0], "this study has no frontier", "upper left")
    elif not fit.ok:
        refused(panels[0], {"L($C_{min}$)": fit.reason})
    else:
        _ours(panels[0], fit, data, drawing)
    _published(panels[1], drawing)
    for axes in panels:
        if axes.lines:
            log_counts(axes)
            log_loss(axes)
        axes.set(xlabel="$C_{min}$ = 6 N B S, FLOPs", ylabel="loss, nats per token")
    legend_below(figure, panels, 2)
    return drawing


def _ours(axes: Axes, fit: Fit, data: StudyData, drawing: Drawing) -> None:
    law, found = TrainingLaw(**{name: fit.value(name) for name in CONSTANTS}), fit.record["contradiction"]
    measured = [row["flops_6n"] for row in data.runs]
    low, high = min(measured), max(measured)
    if found["status"] == "ok":
        low, high = min(low, found["flops"]["value"]), max(high, found["flops"]["value"])
    flops = np.geomspace(low / 10**DECADES, high * 10**DECADES, 120)
    axes.axvspan(min(measured), max(measured), color="#F1F1F1", linewidth=0, zorder=0)
    axes.plot(flops, law.loss(flops), color=BLUE, label="L($C_{min}$)")
    drawing.record("ours", "L(C_min)", flops=flops, loss=law.loss(flops))
    if "data" in found:
        tokens = 2 * flops / (6 * law.params(flops))
        allowed = power(tokens, **found["data"])
        axes.plot(flops, allowed, color=ORANGE, label="L(D) of its tokens, D = 2 $C_{min}$ / 6 N")
        drawing.record("ours", "L(D(C_min))", flops=flops, loss=allowed)
    if found["status"] != "ok":
        refused(axes, {"crossing": found["reason"]})
        return
    interval = found["flops"]["interval"]
    if interval is not None:
        axes.plot([interval["low"], interval["high"]], [found["loss"]["value"]] * 2, color=INK, linewidth=1)
    axes.plot(found["flops"]["value"], found["loss"]["value"], "*", color=INK, markersize=13)
    bounds = f"\n({rounded(interval['low'])} to {rounded(interval['high'])})" if interval else ""
    share = found["share_of_draws_that_meet"]
    axes.set_title(
        f"they meet at {rounded(found['flops']['value'])} FLOPs{bounds}, N = {rounded(found['params']['value'])}\n"
        f"in {share:.0%} of the draws; measured: the grey range"
    )
    axes.set_xlim(flops[0], flops[-1])


def _published(axes: Axes, drawing: Drawing) -> None:
    point = crossing()
    flops = np.geomspace(point.flops / 1e12, point.flops * 1e3, 120)
    compute, data = (PUBLISHED[name].values for name in ("kaplan_compute", "kaplan_tokens"))
    tokens = np.array([ALLOCATIONS["kaplan_tokens"](c) for c in flops])
    axes.plot(flops, power(flops, **compute), color=BLUE, linestyle=":")
    axes.plot(flops, power(tokens, **data), color=ORANGE, linestyle=":")
    axes.plot(point.flops, point.loss, "*", color=GREY, markersize=13)
    drawing.record("published", "L(C_min)", flops=flops, loss=power(flops, **compute))
    drawing.record("published", "L(D(C_min))", flops=flops, loss=power(tokens, **data))
    printed = crossing("table_5", "eq_6_7")
    axes.set_title(
        f"Kaplan: Tables 5 and 6 meet at {rounded(point.flops)} FLOPs, N = {rounded(point.params)}\n"
        f"with Eq 6.7 as printed at {rounded(printed.flops)}, N = {rounded(printed.params)}"
    )

"""Kaplan et al. 2020, Figure 12: the excess compute and the steps of models smaller or larger than the best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.style import GREY, ORANGE, PALE, annotate, legend_below, new_figure, refused
from scaling_lab.science.frontier import size_compute_cost, size_steps_cost
from scaling_lab.science.laws import Array
from scaling_lab.science.published import PUBLISHED

RATIOS = np.geomspace(0.2, 10, 300)
TICKS = (0.2, 0.5, 1, 2, 5, 10)
COSTS = (
    ("excess compute", "C / C of the best size, at equal loss", size_compute_cost, 3.0),
    ("steps", "S / S of the best size, at equal loss", size_steps_cost, 4.0),
)


def wrong_sizes(data: StudyData) -> Drawing:
    """Two panels against N over the best N; both curves hang on alpha_N and alpha_S alone."""
    figure, panels = new_figure(2, 11.5, 5.0)
    drawing = Drawing(figure)
    fit = data.fit("frontier")
    for axes, (name, label, cost, top) in zip(panels, COSTS, strict=True):
        if fit is not None and fit.ok:
            _ours(axes, fit, name, cost, data, drawing)
        exponents = {key: PUBLISHED["kaplan_steps"].values[key] for key in ("alpha_N", "alpha_S")}
        theirs = cost(RATIOS, **exponents)
        axes.plot(RATIOS, theirs, color=GREY, linestyle=":", label="Kaplan et al. 2020, Table 3")
        reached = np.isfinite(theirs)
        drawing.record(name, "published", size_ratio=RATIOS[reached], cost=theirs[reached])
        axes.axhline(1, color=PALE, linewidth=1)
        axes.set(xscale="log", xlim=(RATIOS[0], RATIOS[-1]), ylim=(0, top), xlabel="N / best N", ylabel=label)
        axes.set_xticks(TICKS, labels=[f"{tick:g}" for tick in TICKS])
        axes.minorticks_off()
    if fit is None:
        annotate(panels[0], "this study has no frontier", "upper left")
    elif not fit.ok:
        refused(panels[0], {"ours": fit.reason})
    else:
        low, high = fit.value("smallest_size"), fit.value("largest_size")
        panels[0].axvspan(low, high, color="#F1F1F1", linewidth=0, zorder=0)
        panels[0].set_title(f"{low:.2g} to {high:.2g} times the best size cost at most 20 % more")
    legend_below(figure, panels)
    return drawing


def _ours(axes: Axes, fit: Fit, name: str, cost: Callable[..., Array], data: StudyData, drawing: Drawing) -> None:
    ours = cost(RATIOS, fit.value("alpha_N"), fit.value("alpha_S"))
    axes.plot(RATIOS, ours, color=ORANGE, label="ours")
    reached = np.isfinite(ours)
    columns = {"size_ratio": RATIOS[reached], "cost": ours[reached]}
    alphas = [fit.draws[key][:, None] for key in ("alpha_N", "alpha_S")]
    if len(alphas[0]) >= 20:
        drawn = np.nan_to_num(cost(RATIOS[None, :], *alphas), nan=np.inf)
        tails = [(1 - data.level) / 2, (1 + data.level) / 2]
        low, high = np.quantile(drawn, tails, axis=0, method="nearest")
        axes.fill_between(RATIOS, low, np.minimum(high, 1e3), color=ORANGE, alpha=0.2, linewidth=0)
        columns |= {"cost_low": low[reached], "cost_high": high[reached]}
    drawing.record(name, "ours", **columns)

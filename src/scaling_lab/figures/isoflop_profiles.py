"""Hoffmann et al. 2022, Figure 3 left: loss against size at equal budgets, and the size of each minimum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import FLOPS, loss_label, params_label, rounded, with_interval
from scaling_lab.figures.style import (
    GREY,
    INK,
    annotate,
    log_counts,
    log_loss,
    new_figure,
    refused,
    size_colours,
    size_norm,
)


def isoflop_profiles(data: StudyData) -> Drawing:
    """One parabola in log N per budget, its vertex with an interval; a refused profile is grey and says why."""
    fit = data.fit("isoflop")
    figure, (axes,) = new_figure(1, 8.4, 5.2)
    drawing = Drawing(figure)
    profiles = fit.record["profiles"] if fit else []
    colours, norm = size_colours(), size_norm([profile["flops"] for profile in profiles] or [1.0])
    for profile in profiles:
        accepted = profile["status"] == "ok"
        _profile(axes, profile, colours(norm(profile["flops"])) if accepted else GREY, data, drawing)
        if accepted:
            _vertex(axes, profile, data, drawing)
    if not profiles:
        params, loss = (np.array([row[name] for row in data.runs]) for name in (data.params_column, data.loss_column))
        axes.plot(params, loss, "o", color=GREY, label="runs")
        drawing.record("profiles", "runs", **{data.params_column: params, data.loss_column: loss})
    _finish(axes, fit, data)
    return drawing


def _profile(axes: Axes, profile: Mapping[str, Any], colour: Any, data: StudyData, drawing: Drawing) -> None:
    accepted = profile["status"] == "ok"
    params, loss = np.array(profile["params"]), np.array(profile["loss"])
    name = rounded(profile["flops"]) + ("" if accepted else f" refused: {profile['reason']['code'].replace('_', ' ')}")
    axes.plot(params, loss, "o" if accepted else "x", color=colour, zorder=4, label=name)
    columns = {data.flops_column: profile["flops"], data.params_column: params, data.loss_column: loss}
    drawing.record("profiles", "runs", **columns, status=profile["status"])
    coefficients = [math.nan if c is None else c for c in profile["parabola"]["coefficients"]]
    if not np.isfinite(coefficients).all():
        return
    grid = np.geomspace(params.min() / 1.15, params.max() * 1.15, 100)
    curve = np.polyval(coefficients, np.log(grid) - profile["parabola"]["log_params_centre"])
    axes.plot(grid, curve, color=colour, linewidth=1.5, linestyle="-" if accepted else (0, (2, 2)), zorder=3)
    columns = {data.flops_column: profile["flops"], data.params_column: grid, data.loss_column: curve}
    drawing.record("profiles", "parabola", **columns, status=profile["status"])


def _vertex(axes: Axes, profile: Mapping[str, Any], data: StudyData, drawing: Drawing) -> None:
    low, high = (profile["params_opt_interval"][end] for end in ("low", "high"))
    at, loss = profile["params_opt"], profile["loss_opt"]
    axes.errorbar(at, loss, xerr=[[at - low], [high - at]], fmt="*", color=INK, markersize=9, capsize=5, zorder=5)
    drawing.record(
        "profiles",
        f"vertex, interval {data.level:g}",
        **{
            data.flops_column: profile["flops"],
            data.params_column: at,
            f"{data.params_column}_low": low,
            f"{data.params_column}_high": high,
            data.loss_column: loss,
        },
    )


def _finish(axes: Axes, fit: Fit | None, data: StudyData) -> None:
    log_counts(axes)
    log_loss(axes)
    axes.set(xlabel=params_label(data.params_column), ylabel=loss_label(data.loss_column))
    handles, labels = axes.get_legend_handles_labels()
    if any(profile["status"] == "ok" for profile in (fit.record["profiles"] if fit else [])):
        star = Line2D([], [], color=INK, marker="*", markersize=9, linewidth=1.5)
        handles, labels = [*handles, star], [*labels, f"minimum, {100 * data.level:g} % interval"]
    title = f"C: training FLOPs,\n{FLOPS[data.flops_convention]}"
    axes.legend(handles, labels, title=title, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=11)
    if fit is None or not fit.record["profiles"]:
        annotate(axes, "no budget of this study was spent on several sizes", "upper left")
    if fit and fit.ok:
        axes.set_title(rf"$N_{{opt}} \propto C^{{\,a}}$,  a = {with_interval(fit, 'a')}")
    elif fit:
        refused(axes, {"N_opt(C)": fit.reason}, 70)

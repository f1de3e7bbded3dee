"""Hoffmann et al. 2022, Figure 3 centre and right: the best size and the best amount of data against compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import TOKENS, flops_label, params_label
from scaling_lab.figures.style import (
    BLUE,
    INK,
    ORANGE,
    PALE,
    RED,
    legend_below,
    log_counts,
    new_figure,
    refused,
    shade_beyond,
)
from scaling_lab.fits.stored import SURFACES
from scaling_lab.science.laws import Array

_NAMES = {
    "hoffmann": "Hoffmann's law",
    "kaplan": "Kaplan's law",
    "compute": "envelope",
    "isoflop": "IsoFLOP power law",
}


@dataclass(frozen=True)
class _Canvas:
    """The two panels, N above C and D above C, with what every series needs."""

    panels: list[Axes]
    data: StudyData
    drawing: Drawing
    budgets: list[float]  # of the plan

    @property
    def names(self) -> tuple[str, str]:
        """Column names of the vertical axes."""
        return self.data.params_column, "tokens"


def optimal_allocation(data: StudyData) -> Drawing:
    """N_opt and D_opt by three methods, carried on to the budgets of the plan; the ground beyond the data is shaded."""
    figure, panels = new_figure(2, 11.5, 5.2)
    budgets = [budget["flops"] for budget in data.plan["budgets"]]
    canvas = _Canvas(panels, data, Drawing(figure), budgets)
    _runs(canvas)
    if data.plan["frontier"] is not None:
        _law(canvas, data.plan["frontier"])
    for name, draw in (("compute", _envelope), ("isoflop", _vertices)):
        fit = data.fit(name)
        if fit is not None and (fit.ok or name == "isoflop"):
            draw(canvas, fit)
    _planned(canvas)
    _finish(canvas)
    refused(panels[0], _refusals(data), 60)
    legend_below(figure, panels, 3)
    return canvas.drawing


def _refusals(data: StudyData) -> dict[str, dict[str, str]]:
    """Why what could be drawn is not: of the laws of L(N, D) only where the plan rests on none."""
    missing = SURFACES[:1] if data.plan["frontier"] is None else ()
    fits = {name: data.fit(name) for name in (*missing, "compute", "isoflop")}
    return {_NAMES[name]: fit.reason for name, fit in fits.items() if fit is not None and not fit.ok}


def _runs(canvas: _Canvas) -> None:
    """All runs, pale: where the study has looked."""
    flops = np.array([row[canvas.data.flops_column] for row in canvas.data.runs])
    for axes, name in zip(canvas.panels, canvas.names, strict=True):
        value: Array = np.array([row[name] for row in canvas.data.runs])
        axes.plot(flops, value, "o", color=PALE, markersize=4, zorder=1, label="all runs")
        canvas.drawing.record(name, "all runs", **{canvas.data.flops_column: flops, name: value})


def _law(canvas: _Canvas, frontier: Mapping[str, Any]) -> None:
    """The optimum of the plan's law, for models of the study's proportions, with the band of its draws."""
    column, flops = canvas.data.flops_column, np.array(frontier["flops"])
    label = f"{_NAMES[frontier['law']]}, {100 * frontier['level']:g} % interval"
    for axes, name, key in zip(canvas.panels, canvas.names, ("params_opt", "tokens_opt"), strict=True):
        value, low, high = (np.array(frontier[key][end]) for end in ("value", "low", "high"))
        axes.fill_between(flops, low, high, color=ORANGE, alpha=0.25, linewidth=0, zorder=1)
        axes.plot(flops, value, color=ORANGE, zorder=2, label=label)
        canvas.drawing.record(name, label, **{column: flops, name: value, f"{name}_low": low, f"{name}_high": high})


def _vertices(canvas: _Canvas, fit: Fit) -> None:
    """Vertices of the accepted profiles, drawn even where too few are left for a power law."""
    data, label = canvas.data, f"IsoFLOP minima, {100 * canvas.data.level:g} % interval"
    profiles = [profile for profile in fit.record["profiles"] if profile["status"] == "ok"]
    if fit.ok:
        _isoflop_laws(canvas, fit)
    if not profiles:
        return
    flops = np.array([profile["flops"] for profile in profiles])
    for axes, name, key in zip(canvas.panels, canvas.names, ("params_opt", "tokens_opt"), strict=True):
        value = np.array([profile[key] for profile in profiles])
        low, high = (np.array([profile[f"{key}_interval"][end] for profile in profiles]) for end in ("low", "high"))
        reach = [value - low, high - value]
        axes.errorbar(flops, value, yerr=reach, fmt="*", color=INK, markersize=10, capsize=4, zorder=4, label=label)
        columns = {data.flops_column: flops, name: value, f"{name}_low": low, f"{name}_high": high}
        canvas.drawing.record(name, label, **columns)


def _isoflop_laws(canvas: _Canvas, fit: Fit) -> None:
    """The power laws through the vertices, as far as the plan goes."""
    flops = np.array([profile["flops"] for profile in fit.record["profiles"]])
    grid = np.geomspace(flops.min(), max([flops.max(), *canvas.budgets]) * 1.5, 2)
    laws = (("params_coefficient", "a"), ("tokens_coefficient", "b"))
    for axes, name, (coefficient, exponent) in zip(canvas.panels, canvas.names, laws, strict=True):
        value = fit.value(coefficient) * grid ** fit.value(exponent)
        axes.plot(grid, value, color=INK, linewidth=1.2, linestyle=(0, (1, 1.5)), zorder=2, label="IsoFLOP power law")
        canvas.drawing.record(name, "IsoFLOP power law", **{canvas.data.flops_column: grid, name: value})


def _envelope(canvas: _Canvas, fit: Fit) -> None:
    """Runs that no cheaper run beats, as they were trained: their sizes are those of the grid, hence the steps."""
    data, label = canvas.data, "runs on the lower envelope"
    rows = [data.runs_by_id[run] for run in fit.record["envelope"]["runs"]]
    flops = np.array([row[data.flops_column] for row in rows])
    for axes, name in zip(canvas.panels, canvas.names, strict=True):
        value: Array = np.array([row[name] for row in rows])
        axes.plot(flops, value, "o", color=BLUE, markersize=5, zorder=3, label=label)
        canvas.drawing.record(name, label, **{data.flops_column: flops, name: value})


def _planned(canvas: _Canvas) -> None:
    """The buildable models of the plan; none for a refused budget."""
    data, label = canvas.data, "models of the plan"
    models = [budget["model"] for budget in data.plan["budgets"] if budget["status"] == "ok"]
    if not models:
        return
    flops = np.array([model["flops"] for model in models])
    for axes, name, key in zip(canvas.panels, canvas.names, ("params", "tokens"), strict=True):
        value: Array = np.array([model[key] for model in models])
        axes.plot(flops, value, "D", color=RED, markerfacecolor="white", markeredgewidth=1.6, zorder=4, label=label)
        canvas.drawing.record(name, label, **{data.flops_column: flops, name: value})


def _finish(canvas: _Canvas) -> None:
    data, panels = canvas.data, canvas.panels
    largest = max(row[data.flops_column] for row in data.runs)
    for axes in panels:
        log_counts(axes, "y")
        log_counts(axes)
        axes.set_xlabel(flops_label(data.flops_convention).replace("\n", " "))
        shade_beyond(axes, largest)
    panels[0].set_ylabel(params_label(data.params_column))
    panels[1].set_ylabel(f"D: {TOKENS}")

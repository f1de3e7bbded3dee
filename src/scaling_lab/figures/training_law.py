"""Kaplan et al. 2020, Figures 4 (right) and 11: training curves under L(N, S_min), at fixed steps and fixed compute."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import params_label, with_interval
from scaling_lab.figures.sizes import colour_bar, size_scale
from scaling_lab.figures.style import annotate, log_counts, log_loss, new_figure, power_of_ten, refused
from scaling_lab.science.batch import compute_at_small_batch
from scaling_lab.science.frontier import TrainingLaw
from scaling_lab.science.laws import Array, critical_batch

SLICES = 4
COMPUTE = "$C_{min}$ = 6 N B S, FLOPs"


def training_law(data: StudyData) -> Drawing:
    """Three panels: every curve, the loss against N after some steps, and after some compute."""
    figure, panels = new_figure(3, 16, 5.2, sharey=True)
    drawing = Drawing(figure)
    fit = data.fit("training_law")
    if fit is None:
        annotate(panels[0], "this study does not fit L(N, S)", "upper left")
        return drawing
    sizes = np.unique(fit.points["N"])
    scale = size_scale(sizes.tolist())
    _curves(panels[0], fit, sizes, scale, drawing)
    _at_steps(panels[1], fit, drawing)
    _at_compute(panels[2], fit, drawing)
    if fit.ok:
        exponents = f"$\\alpha_N$ = {with_interval(fit, 'alpha_N', 3)}\n$\\alpha_S$ = {with_interval(fit, 'alpha_S')}"
        annotate(panels[0], f"{exponents}\nKaplan: 0.077, 0.76")
    else:
        refused(panels[0], {"L(N, S)": fit.reason})
    for axes in panels:
        log_counts(axes)
        log_loss(axes)
    steps = "$S_{min}$, steps of an unlimited batch" if _batch(fit) else "steps at the runs' batch"
    panels[0].set(xlabel=steps, ylabel="training loss, nats per token")
    for axes, what in zip(panels[1:], (steps, COMPUTE), strict=True):
        axes.set(xlabel=params_label(data.params_column), title=f"at fixed {what}")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=9, loc="upper right")
    colour_bar(figure, panels, scale, sizes.tolist(), params_label(data.params_column))
    return drawing


def _batch(fit: Fit) -> dict[str, float] | None:
    """B_star and alpha_B of the record, if the study tells them."""
    parameters = fit.record["critical_batch"]["parameters"]
    return {name: entry["value"] for name, entry in parameters.items()} or None


def _curves(axes: Axes, fit: Fit, sizes: Array, scale: ScalarMappable, drawing: Drawing) -> None:
    for size in sizes:
        own = fit.points["N"] == size
        steps, loss = fit.points["S"][own], fit.points["loss"][own]
        axes.plot(steps, loss, ".", color=scale.to_rgba(size), markersize=6)
        drawing.record("curves", f"N = {size:g}", steps_min=steps, loss=loss)
        if fit.ok:
            grid = np.geomspace(steps.min(), steps.max() * 1.5, 60)
            model = fit.predict({"N": np.full_like(grid, size), "S": grid})
            axes.plot(grid, model, color=scale.to_rgba(size), linewidth=1.2)
            drawing.record("curves", f"N = {size:g}, law", steps_min=grid, loss=model)


def _at(fit: Fit, x: Array, value: float) -> tuple[Array, Array]:
    """Sizes and interpolated losses of the curves that pass the value of x."""
    found = []
    for size in np.unique(fit.points["N"]):
        own = fit.points["N"] == size
        if x[own].min() <= value <= x[own].max():
            found.append((size, np.exp(np.interp(np.log(value), np.log(x[own]), np.log(fit.points["loss"][own])))))
    return np.array([size for size, _ in found]), np.array([loss for _, loss in found])


def _slices(x: Array) -> Array:
    return np.geomspace(np.quantile(x, 0.15), np.quantile(x, 0.95), SLICES)


def _at_steps(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    sizes = np.unique(fit.points["N"])
    scale = size_scale(list(_slices(fit.points["S"])))
    for value in _slices(fit.points["S"]):
        n, loss = _at(fit, fit.points["S"], value)
        colour, label = scale.to_rgba(value), power_of_ten(float(f"{value:.2g}"))
        axes.plot(n, loss, "o", color=colour, label=f"{label} steps", markersize=5)
        drawing.record("fixed steps", f"{value:.4g} steps", params=n, loss=loss)
        if fit.ok:
            grid = np.geomspace(sizes.min(), sizes.max(), 60)
            axes.plot(grid, fit.predict({"N": grid, "S": np.full_like(grid, value)}), color=colour, linewidth=1.2)


def _at_compute(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    batch, points = _batch(fit), fit.points
    if batch is None:
        annotate(axes, "no critical batch, hence no $C_{min}$", "upper left")
        return
    flops = 6 * points["N"] * points["batch"] * points["steps"]
    needed = critical_batch(points["loss"], **batch)
    least = np.asarray(compute_at_small_batch(flops, points["batch"], needed))
    scale = size_scale(list(_slices(least)))
    for value in _slices(least):
        n, loss = _at(fit, least, value)
        colour, label = scale.to_rgba(value), power_of_ten(float(f"{value:.2g}"))
        axes.plot(n, loss, "o", color=colour, label=f"{label} FLOPs", markersize=5)
        drawing.record("fixed compute", f"{value:.4g} FLOPs", params=n, loss=loss)
        if fit.ok and len(n):
            law = TrainingLaw(**{name: fit.value(name) for name in ("Nc", "Sc", "alpha_N", "alpha_S")}, **batch)
            grid = np.geomspace(n.min() / 1.5, n.max() * 1.5, 60)
            axes.plot(grid, law.loss_at(grid, value), color=colour, linewidth=1.2)

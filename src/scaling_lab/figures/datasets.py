"""Several texts or vocabularies on one grid: losses in nats per token and bits per byte, and their ratio by cell."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import params_label
from scaling_lab.figures.marks import colour_of, marker_of, say_missing
from scaling_lab.figures.style import INK, legend_below, log_counts, log_loss, new_figure, size_colours, size_norm
from scaling_lab.fits.datasets import dataset_names


def datasets(data: StudyData) -> Drawing:
    """Left and middle the loss against N at the most data, by dataset; right its ratio to the first in every cell."""
    figure, panels = new_figure(3, 15.0, 5.0)
    drawing = Drawing(figure)
    fit = data.fit("datasets")
    if say_missing(panels[0], fit, "the comparison of datasets") or fit is None:
        return drawing
    names = dataset_names(list(dict.fromkeys(fit.points["dataset"].tolist())))
    _by_size(panels[0], fit, names, "loss", "loss, nats per token", drawing)
    _by_size(panels[1], fit, names, "bits_per_byte", "loss, bits per byte of text", drawing)
    _ratios(panels[2], fit, names, drawing)
    legend_below(figure, panels[:1])
    return drawing


def _by_size(axes: Axes, fit: Fit, names: dict[str, str], column: str, label: str, drawing: Drawing) -> None:
    points = fit.points
    most = min(points["D"][points["dataset"] == name].max() for name in names)
    words = []
    for place, (dataset, name) in enumerate(names.items()):
        own = (points["dataset"] == dataset) & (np.abs(np.log(points["D"] / most)) < 0.05)
        order = np.argsort(points["N"][own])
        params, loss = points["N"][own][order], points[column][own][order]
        axes.plot(params, loss, marker=marker_of(place), color=colour_of(place), label=name)
        drawing.record(column, name, params_non_embedding=params, **{column: loss})
        alpha = fit.record["datasets"][place]["alpha_N"]
        words += [f"{name} {alpha['value']:.3f}"] if alpha else []
    log_counts(axes)
    log_loss(axes)
    axes.set(xlabel=params_label("params_non_embedding"), ylabel=label)
    if column == "loss" and words:
        axes.set_title("power of N: " + ", ".join(words), fontsize=10)


def _ratios(axes: Axes, fit: Fit, names: dict[str, str], drawing: Drawing) -> None:
    points, first = fit.points, next(iter(names))
    amounts = sorted({float(f"{tokens:.2g}") for tokens in points["D"]})
    colours, norm = size_colours(), size_norm(amounts)
    base = {_cell(n, d): loss for n, d, loss, name in _rows(points) if name == first}
    for place, factor in enumerate(fit.record["factors"], start=1):
        pairs = [(n, d, loss / base[_cell(n, d)]) for n, d, loss, name in _rows(points)
                 if name == factor["dataset"] and _cell(n, d) in base]  # fmt: skip
        params, tokens, ratio = (np.array(values) for values in zip(*pairs, strict=True))
        axes.scatter(params, ratio, c=[colours(norm(d)) for d in tokens], marker=marker_of(place), s=45, zorder=3)
        value = factor["factor"]["value"]
        axes.axhline(value, color=colour_of(place), linewidth=1.3, label=names[factor["dataset"]])
        drawing.record("ratio", names[factor["dataset"]], params_non_embedding=params, tokens=tokens, ratio=ratio)
    axes.axhline(1, color=INK, linewidth=0.8)
    log_counts(axes)
    axes.set(xlabel=params_label("params_non_embedding"), ylabel=f"nats per token over those of {names[first]}")
    axes.set_title("lines: one factor, the first principle; darker: fewer tokens", fontsize=10)


def _rows(points: dict[str, np.ndarray]) -> list[tuple[float, float, float, str]]:
    columns = (points[name].tolist() for name in ("N", "D", "loss", "dataset"))
    return list(zip(*columns, strict=True))


def _cell(params: float, tokens: float) -> tuple[float, float]:
    return params, float(f"{tokens:.2g}")

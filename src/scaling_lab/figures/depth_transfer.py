"""Kaplan et al. 2020, Figure 24: loss on every text against depth at one size."""

from __future__ import annotations

import numpy as np

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import rounded
from scaling_lab.figures.marks import colour_of, marker_of, say_missing
from scaling_lab.figures.style import log_counts, log_loss, new_figure


def depth_transfer(data: StudyData) -> Drawing:
    """The shapes of the series in aspect ratio with the most depths; one line per text, runs of the first seed."""
    figure, (axes,) = new_figure(1, 8.4, 5.0)
    drawing = Drawing(figure)
    fit = data.fit("shape")
    if say_missing(axes, fit, "the effect of shape") or fit is None:
        return drawing
    series = [entry for entry in fit.record["panels"] if entry["axis"] == "aspect_ratio"]
    if not series:
        axes.set_title("no series of three depths")
        return drawing
    entry = max(series, key=lambda panel: len(panel["values"]))
    rows = sorted((data.runs_by_id[run] for run in entry["runs"]), key=lambda row: int(row["n_layer"]))
    depth = np.array([row["n_layer"] for row in rows])
    texts = [data.loss_column, *(name for name in rows[0] if name.startswith("loss_") and rows[0][name] is not None)]
    for place, column in enumerate(texts):
        loss = np.array([row[column] for row in rows], dtype=np.float64)
        name = column.removeprefix("loss_").removesuffix("_nats").removesuffix("_loss")
        axes.plot(depth, loss, marker=marker_of(place), color=colour_of(place), label=name)
        drawing.record("texts", name, n_layer=depth, loss_nats=loss)
    log_counts(axes)
    log_loss(axes)
    axes.set_xticks(depth, [str(layers) for layers in depth])
    axes.set(xlabel="layers, at one number of non-embedding parameters", ylabel="loss, nats per token")
    axes.set_title(f"N = {rounded(entry['reference_params'], 2)}, evaluated on every text")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawing

"""Kaplan et al. 2020, Figure 20 right: validation loss at positions of the context while one model trains."""

from __future__ import annotations

from typing import Any

import numpy as np

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Columns, StudyData
from scaling_lab.figures.labels import rounded
from scaling_lab.figures.style import annotate, legend_below, log_counts, log_loss, new_figure, size_colours
from scaling_lab.science.positions import position_bins, range_label

COLUMN = "validation_loss_by_position_nats"
FEWEST_EVALUATIONS = 4  # that a curve is drawn through


def context_training(data: StudyData) -> Drawing:
    """One line per range of positions, of the run with the most evaluations: tokens processed, loss."""
    figure, (axes,) = new_figure(1, 7.6, 5.4)
    drawing = Drawing(figure)
    log_counts(axes)
    axes.set(xlabel="tokens processed", ylabel="validation loss at T, nats per token")
    found = _most_evaluated(data)
    if found is None:
        annotate(axes, f"no run of this study was evaluated by position at {FEWEST_EVALUATIONS} steps", "upper left")
        return drawing
    row, curve = found
    params, colours, bins = row["params_non_embedding"], size_colours(), position_bins(int(row["context"]))
    losses = np.stack(curve[COLUMN].tolist())
    for place, (first, last) in enumerate(bins):
        label = f"T {range_label(first, last)}"
        colour = colours(place / max(len(bins) - 1, 1))
        axes.plot(curve["tokens"], losses[:, place], "o-", color=colour, markersize=4, label=label)
        drawing.record("training", label, run=row["run"], tokens=curve["tokens"], loss_nats=losses[:, place])
    log_loss(axes)
    axes.set_title(f"N = {rounded(params, 3)} without embeddings, context {row['context']}", fontsize=11)
    legend_below(figure, [axes], 4)
    return drawing


def _most_evaluated(data: StudyData) -> tuple[dict[str, Any], Columns] | None:
    """The run with the most evaluations, of several the largest, the earliest seed; its curve at the evaluations."""
    best, order = None, (FEWEST_EVALUATIONS - 1, 0.0, 0)
    for row, curve in data.curves():
        if COLUMN not in curve:
            continue  # every run was trained before losses by position were recorded
        mask = np.array([value is not None for value in curve[COLUMN]], dtype=bool)
        rank = (int(mask.sum()), row["params_non_embedding"], -row["seed"])
        if rank > order:
            best, order = (row, {name: values[mask] for name, values in curve.items()}), rank
    return best

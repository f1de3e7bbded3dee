"""How far from its best learning rate each cell was trained: rate over the measured rule, and the loss expected to be
lost by it."""

from __future__ import annotations

from scaling_lab.figures.distances import draw_distances, label_distances
from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import with_interval
from scaling_lab.figures.style import annotate, new_figure, refused


def tuning(data: StudyData) -> Drawing:
    """Left: rate over the best of its size, of the cells and of every published rule; right: expected excess loss."""
    fit = data.fit("tuning")
    figure, (left, right) = new_figure(2, 13, 5)
    drawing = Drawing(figure)
    if fit is not None:
        draw_distances(left, right, fit, drawing)
    if fit is not None and fit.ok:
        rule = f"best rate = c $N^{{-q}}$: c = {with_interval(fit, 'c')}, q = {with_interval(fit, 'q')}"
        annotate(right, rule, "lower left")
    elif fit is not None:
        refused(left, {"tuning": fit.reason}, 60)
    label_distances(left, right, "peak rate over the measured best")
    return drawing

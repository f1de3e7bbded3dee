"""Kaplan et al. 2020, Figure 7 right: loss along the context, LSTMs beside Transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import rounded
from scaling_lab.figures.marks import say_missing
from scaling_lab.figures.style import log_counts, log_loss, new_figure, size_colours, size_norm

STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (3, 1, 1, 1)), (0, (1, 1.2)), (0, (8, 2, 1, 2)))


def architecture_positions(data: StudyData) -> Drawing:
    """Means between powers of two; a line style for each series, Transformers solid, colour is size."""
    figure, (axes,) = new_figure(1, 9.4, 5.4)
    drawing = Drawing(figure)
    fit = data.fit("architectures")
    if say_missing(axes, fit, "the architectures") or fit is None:
        return drawing
    models = fit.record["by_position"]
    series = ["transformer", *sorted({model["series"] for model in models} - {"transformer"})]
    colours, norm = size_colours(), size_norm([model["params"] for model in models])
    for model in sorted(models, key=lambda model: model["params"]):
        middle = np.array([np.sqrt(first * last) for first, last in model["bins"]])
        label = f"{model['series']}, {rounded(model['params'], 2)}"
        style = STYLES[series.index(model["series"])]
        axes.plot(
            middle, model["loss"], linestyle=style, color=colours(norm(model["params"])), linewidth=1.4, label=label
        )
        drawing.record("positions", label, position=middle, loss_nats=np.array(model["loss"]))
    log_counts(axes)
    log_loss(axes)
    axes.set(xlabel="position in the context", ylabel="test loss there, nats per token")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5)
    return drawing

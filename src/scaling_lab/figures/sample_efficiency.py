"""Kaplan et al. 2020, Figure 19: the fewest steps and the fewest tokens to a loss, against the size of the model."""

from __future__ import annotations

import numpy as np

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import params_label
from scaling_lab.figures.sizes import colour_bar, size_scale
from scaling_lab.figures.style import annotate, log_counts, new_figure, refused

PANELS = (
    ("fewest_steps", "steps_exponent", "$S_{min}$, steps"),
    ("fewest_tokens", "tokens_exponent", "$E_{min}$, tokens"),
)


def sample_efficiency(data: StudyData) -> Drawing:
    """Two panels; colour is the loss that is reached."""
    figure, panels = new_figure(2, 12, 5.2)
    drawing = Drawing(figure)
    fit = data.fit("sample_efficiency")
    if fit is None or not len(fit.points["loss"]):
        annotate(panels[0], "no loss is reached by several sizes", "upper left")
        return drawing
    losses = np.unique(fit.points["loss"])
    scale = size_scale(losses.tolist())
    adjusted = fit.record["critical_batch"]["status"] == "ok"
    for axes, (column, exponent, label) in zip(panels, PANELS, strict=True):
        for loss in losses[::-1]:
            own = fit.points["loss"] == loss
            order = np.argsort(fit.points["params"][own])
            n, needed = fit.points["params"][own][order], fit.points[column][own][order]
            axes.plot(n, needed, "o-", color=scale.to_rgba(loss), linewidth=1, markersize=5)
            drawing.record(column, f"loss {loss:.4g}", params=n, needed=needed)
        log_counts(axes)
        log_counts(axes, "y")
        axes.set(xlabel=params_label(data.params_column), ylabel=label if adjusted else f"{label} (of the runs' batch)")
        if fit.ok:
            slopes = [row[exponent]["value"] for row in fit.record["losses"]]
            axes.set_title(f"power of N, from high to low loss: {slopes[0]:.2f} to {slopes[-1]:.2f}")
    if not fit.ok:
        refused(panels[0], {"exponents": fit.reason})
    colour_bar(figure, panels, scale, [float(f"{loss:.3g}") for loss in losses], "training loss, nats per token")
    return drawing

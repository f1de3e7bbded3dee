"""Kaplan et al. 2020, Figure 22: final loss against the learning rate summed over all steps, by schedule."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import loss_label, rounded
from scaling_lab.figures.marks import colour_of, marker_of
from scaling_lab.figures.style import GREY, annotate, log_counts, new_figure

# Seed variation that the paper quotes in D.6, nats.
PUBLISHED_SCATTER = 0.05


def schedules(data: StudyData) -> Drawing:
    """Runs of the model and amount of data with the most schedules; a band of the seed noise above the best."""
    figure, (axes,) = new_figure(1, 8.8, 5.0)
    drawing = Drawing(figure)
    runs = [(row, curve) for row, curve in data.curves() if row["seed"] == 0]
    cells = Counter((row["params_non_embedding"], round(np.log(row["tokens"]), 1)) for row, _ in runs)
    chosen = max(cells, key=lambda cell: len({schedule_words(r) for r, _ in runs if _cell(r) == cell}), default=None)
    rows = [(row, curve) for row, curve in runs if _cell(row) == chosen]
    if not rows:
        annotate(axes, "this study has no runs", "upper left")
        return drawing
    for place, name in enumerate(dict.fromkeys(schedule_words(row) for row, _ in rows)):
        own = sorted(
            ((summed_rate(curve), row[data.loss_column]) for row, curve in rows if schedule_words(row) == name)
        )
        total, loss = np.array(own).T
        axes.plot(
            total, loss, marker=marker_of(place), color=colour_of(place), linestyle="-", linewidth=0.8, label=name
        )
        drawing.record("schedules", name, learning_rate_summed=total, loss_nats=loss)
    least = min(row[data.loss_column] for row, _ in rows)
    noise = (data.noise["pooled"] or {}).get("relative_sd", {}).get("value")
    if noise:
        axes.axhspan(least, least * (1 + 2 * noise), color=GREY, alpha=0.2, linewidth=0, label="two sd of seeds")
    log_counts(axes)
    axes.set(xlabel="learning rate summed over steps", ylabel=loss_label(data.loss_column))
    params = rounded(rows[0][0]["params_non_embedding"], 3)
    axes.set_title(f"N = {params}; seeds in the paper differ by about {PUBLISHED_SCATTER} nats")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=10)
    return drawing


def _cell(row: dict[str, Any]) -> tuple[float, float]:
    return row["params_non_embedding"], round(np.log(row["tokens"]), 1)


def schedule_words(row: dict[str, Any]) -> str:
    """A schedule in words: its name, its cooldown, and the final rate where it is not zero."""
    words = str(row["schedule"])
    if words in ("wsd", "rsqrt"):
        words += f", cooldown {row['cooldown_fraction']:g}"
    return words + (f", to {row['final_fraction']:g} of the peak" if row["final_fraction"] else "")


def summed_rate(curve: dict[str, Any]) -> float:
    """The integral of the rate over steps, by the trapezoids between the recorded ones."""
    step, rate = curve["step"].astype(float), curve["learning_rate"].astype(float)
    return float(np.trapezoid(rate, step) + step[0] * rate[0] / 2)

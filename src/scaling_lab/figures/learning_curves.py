"""Kaplan et al. 2020, Figure 2: smoothed training loss against tokens processed and against compute, by model size."""

from __future__ import annotations

from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import StudyData, model_of
from scaling_lab.figures.labels import flops_label, params_label
from scaling_lab.figures.sizes import colour_bar, size_scale
from scaling_lab.figures.style import log_counts, log_loss, new_figure

# The first steps of a run are the fall from a uniform guess: they would fill the panel.
SHOWN_FROM = 0.01


def learning_curves(data: StudyData) -> Drawing:
    """One line per size, its longest run; colour is log N."""
    figure, panels = new_figure(2, 11.5, 4.8, sharey=True)
    drawing = Drawing(figure)
    longest = _longest_runs(data)
    sizes = sorted({data.runs_by_id[run][data.params_column] for run in longest})
    scale = size_scale(sizes)
    for row, curve in data.curves():
        if row["run"] not in longest:
            continue
        shown = curve["progress"] >= SHOWN_FROM
        tokens, loss = curve["tokens"][shown], curve["train_loss_smoothed_nats"][shown]
        flops = tokens * row[f"flops_per_token_{data.flops_convention}"]
        colour = scale.to_rgba(row[data.params_column])
        for axes, x in zip(panels, (tokens, flops), strict=True):
            axes.plot(x, loss, color=colour, solid_capstyle="round")
        columns = {data.params_column: row[data.params_column], "tokens": tokens, data.flops_column: flops}
        drawing.record("both", row["run"], **columns, train_loss_smoothed_nats=loss)
    _finish(panels, data)
    colour_bar(figure, panels, scale, sizes, params_label(data.params_column))
    return drawing


def _longest_runs(data: StudyData) -> set[str]:
    """The run of each model with the most tokens; of several seeds, the first."""
    best: dict[tuple[str, ...], dict[str, object]] = {}
    for row in sorted(data.runs, key=lambda r: (-r["tokens"], r["seed"])):
        best.setdefault(model_of(row), row)
    return {str(row["run"]) for row in best.values()}


def _finish(panels: list[Axes], data: StudyData) -> None:
    for axes in panels:
        log_counts(axes)
        log_loss(axes)
    panels[0].set(xlabel="tokens processed", ylabel="training loss, smoothed, nats per token")
    panels[1].set(xlabel=flops_label(data.flops_convention).replace("\n", " "))

"""Titles and captions of the figures: what is seen, and by which conventions."""

from __future__ import annotations

import base64
from typing import Any

from scaling_lab.errors import TableError
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import PARAMS, flops_words
from scaling_lab.report.experiments import CAPTIONS
from scaling_lab.report.formats import percent
from scaling_lab.report.training_captions import TRAINING_CAPTIONS

_CAPTIONS = {
    "power_laws": (
        "Loss as a power law of compute, data and size",
        "Test loss on logarithmic axes against training compute (C: {flops}), against training tokens D of the "
        "largest model with a series of them, and against size (N: {params}) on the most tokens that the sizes "
        "share. Grey lines are the training curves of all runs (smoothed training loss); black points are runs that "
        "no cheaper run beats. Orange lines are the fitted laws with their {level} band, dashed beyond the data.",
    ),
    "learning_curves": (
        "Learning curves",
        "Smoothed training loss of the longest run of each size against the tokens it has read and the compute it "
        "has spent (C: {flops}). Colour is size (N: {params}). Where lines cross on the right, the best size "
        "changes.",
    ),
    "size_and_data": (
        "Loss against data at each size",
        "Every run's test loss against its training tokens; colour is size (N: {params}). The lines are one law for "
        "all sizes, Kaplan et al. 2020, Eq 1.5, with its {level} band. Points far from their line show where that "
        "law fails.",
    ),
    "isoflop_profiles": (
        "IsoFLOP profiles",
        "Loss of models of different size (N: {params}) that spent the same compute (C: {flops}). Each line is a "
        "parabola in log N, each star its minimum with the {level} interval from the scatter around the parabola. A "
        "grey profile was refused, for the reason given in the legend.",
    ),
    "optimal_allocation": (
        "The best size and the best amount of data",
        "Against compute (C: {flops}): the optimum of Hoffmann's law with its {level} band, the IsoFLOP minima with "
        "the power law through them, the runs on the lower envelope (sizes of the grid, hence the steps), and the "
        "models of the plan. N counts {params}. In the grey region no run was trained: everything there is "
        "extrapolation.",
    ),
    "regret": (
        "What another size costs",
        "Compute wasted by a model of another size than the best at the same budget: how far the budget exceeds what "
        "reaches the same loss at its best size. Lines are medians over the bootstrap, bands reach the bound "
        "that 90 % of it stay under, dotted lines mark the best sizes. N counts {params}.",
    ),
    "backtest": (
        "Backtest",
        "The most expensive runs, predicted by laws that were fitted without them: predicted against measured loss, "
        "and the relative error against compute (C: {flops}). Bars are {level} intervals of a new run. L(C) predicts "
        "only runs on the envelope.",
    ),
    "horizons": (
        "Approach 1: the envelope of the training curves",
        "Smoothed training loss of every run against compute (C: {flops}); colour is size (N: {params}). Black points "
        "are the envelope where the best run is in the last 15 % of its schedule, as Hoffmann et al. 2022 demand. "
        "Middle and right: size and tokens on it, with power laws and their {level} bands, which contain a smooth "
        "departure of the losses.",
    ),
    "overshoot": (
        "A cosine longer than the run",
        "Each point is a run whose cosine would have gone on, against the run of the same model, tokens, batch, rate "
        "and seed whose cosine ended with it. Squares are means with the {level} interval of the scatter of all pairs.",
    ),
    "corrections": (
        "The corrections between Kaplan's exponent and Hoffmann's",
        "The exponent of the best size in compute on these runs, one switch at a time, with {level} intervals, beside "
        "the steps of Porian et al. 2024. Each step keeps those before it. Right: the best sizes of the law "
        "that was fitted on each step, which the exponent is the slope of.",
    ),
    "data_limits": (
        "What repeated tokens are worth",
        "Left: loss against tokens read, repeats counted, with the data-constrained law of Muennighoff et al. 2023 "
        "(dashed where tokens repeat). Right: the worth of the tokens read, in multiples of the unique ones, with its "
        "{level} band.",
    ),
    "tuning": (
        "How far each cell was trained from its best rate",
        "Left: peak rate over the best that the sweeps measured, c N^-q, of every cell and of the published rules at "
        "the sizes swept. Right: the loss that is expected to be lost by it, from the curvature of the sweeps.",
    ),
    "batch_tuning": (
        "The best batch at fixed tokens, and how far each cell was trained from it",
        "Left: loss against batch, each at its best rate, at three amounts of data (lines: most tokens solid). Middle: "
        "batch over the best for its size and data, of every cell and of the published rules where the best "
        "was measured. Right: the loss that is expected to be lost by it. Measured at a constant rate.",
    ),
    "head_to_head": (
        "A held-out budget",
        "Models that spent the same compute (C: {flops}), more than any run that the laws were fitted to. Bars are "
        "each law's 80 and 95 % intervals for a new run; vertical lines are the sizes (N: {params}) that the rules "
        "ask for.",
    ),
}


def figure_views(data: StudyData) -> list[dict[str, Any]]:
    """The study's figures as data URIs, each with title, caption and the path of its numbers."""
    return [_view(name, data) for name in data.study["figures"]]


def _view(name: str, data: StudyData) -> dict[str, Any]:
    path = data.results / "figures" / data.name / f"{name}.svg"
    if not path.exists():
        raise TableError(f"{path}: no such figure; it is drawn before the report")
    title, caption = (_CAPTIONS | CAPTIONS | TRAINING_CAPTIONS)[name]
    words = {
        "flops": flops_words(data.flops_convention),
        "params": PARAMS[data.params_column],
        "level": percent(data.level, 0),
    }
    uri = "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    numbers = path.with_suffix(".csv").relative_to(data.results)
    return {"name": name, "title": title, "caption": caption.format(**words), "uri": uri, "numbers": str(numbers)}

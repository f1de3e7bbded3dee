"""What lies behind the disagreements of the approaches: known causes, each taken away by a computation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from scaling_lab.fits.readings import Reading
from scaling_lab.science.allocation import Allocation, Approaches
from scaling_lab.science.approaches import measured_span
from scaling_lab.science.causes import (
    Explanation,
    Remedy,
    by_another_answer,
    try_departure,
    try_reading,
    try_remedies,
    without_grid_bias,
    without_offset,
)
from scaling_lab.science.curve_envelope import Curve

ENDS = 0.999  # of a schedule: its end alone


def explain(own: Reading, answer: Approaches, others: Sequence[tuple[Reading, Approaches]]) -> tuple[Explanation, ...]:
    """One explanation per disagreement of `answer`, the study's own; `others` are the readings by other counts."""
    if not answer.disagreements:
        return ()
    remedies = _remedies(own)
    found = []
    for pair in answer.disagreements:
        readings = [try_reading(pair, other, _counts(reading)) for reading, other in others]
        departure = [try_departure(pair, answer)] if own.options.departure else []
        trials = (*try_remedies(pair, answer, remedies), *(trial for trial in readings if trial), *departure)
        found.append(Explanation(pair.first, pair.second, trials))
    return tuple(found)


def _counts(reading: Reading) -> str:
    params, flops = (reading.conventions[name]["label"] for name in ("params", "flops"))
    return f"N: {params}; C: {flops}"


def _remedies(own: Reading) -> dict[str, tuple[str, Remedy]]:
    span = measured_span(own.runs, own.profiles)
    return {
        "grid": (
            "the minima less the bias that parabolas on these sizes have if Hoffmann's law is exact",
            without_grid_bias(own.profiles, own.cost, own.runs, own.question),
        ),
        "offset": (
            "Hoffmann's law without an irreducible loss",
            without_offset(own.runs, span, own.question, own.approach_options),
        ),
        "schedule": (
            "the ends of the runs whose schedule ended, without the training curves before them",
            by_another_answer(("envelope", "kaplan_steps"), cache(lambda name: _ends(own, name))),
        ),
    }


def _ends(own: Reading, name: str) -> Allocation:
    """The answer of an approach to curves when they are nothing but their ends."""
    return own.of_curves(name, [_end(curve) for curve in own.curves if curve.progress[-1] >= ENDS])


def _end(curve: Curve) -> Curve:
    """The last point, and one before it at the same loss: a curve has a beginning and an end."""
    near = 1 - 1e-9
    return replace(
        curve,
        flops=curve.flops[-1] * np.array([near, 1.0]),
        tokens=curve.tokens[-1] * np.array([near, 1.0]),
        loss=np.repeat(curve.loss[-1:], 2),
        progress=np.repeat(curve.progress[-1:], 2),
    )

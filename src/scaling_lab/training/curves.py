"""The learning curve of a run: rows of its history that go to metrics.parquet."""

from dataclasses import dataclass
from math import isfinite, log
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scaling_lab.spec import RunSpec
from scaling_lab.training.history import History
from scaling_lab.training.schedule import learning_rate

# Rows of a learning curve, geometrically spaced: enough for a smooth line over any number of decades.
CURVE_ROWS = 200

SCHEMA = pa.schema(
    [
        ("run", pa.string()),
        ("step", pa.int64()),
        ("tokens", pa.int64()),
        ("progress", pa.float64()),
        ("flops_matmul", pa.float64()),
        ("learning_rate", pa.float64()),
        ("train_loss_nats", pa.float64()),
        ("train_loss_smoothed_nats", pa.float64()),
        ("validation_loss_nats", pa.float64()),
        ("validation_bits_per_byte", pa.float64()),
        ("validation_loss_by_position_nats", pa.list_(pa.float64())),
        ("gradient_norm", pa.float64()),
        ("noise_scale_tokens", pa.float64()),
        ("wall_s", pa.float64()),
        ("tokens_per_s", pa.float64()),
        ("flops_share_of_peak", pa.float64()),
        ("peak_memory_bytes", pa.int64()),
    ]
)
"""Columns of metrics.parquet, of trained and of simulated runs. What a run did not measure is null.

Losses by position are means over the ranges of `science.positions`: at a context of 1024 eleven numbers an evaluation.
"""

WALL_CLOCK = ["wall_s", "tokens_per_s", "flops_share_of_peak", "peak_memory_bytes"]
"""The columns in which two trainings of one run differ; all others agree to the last bit on one machine."""


@dataclass(frozen=True)
class Scale:
    """What turns a history into units that others compare: bytes per token of validation, peak FLOP/s of the device."""

    validation_bytes_per_token: float
    peak_flops_per_s: float | None


def evaluation_steps(spec: RunSpec) -> NDArray[np.int64]:
    """Steps of the validation evaluations: steps / 2^k, the last at the end.

    A run of a trunk is evaluated where it leaves the trunk and never before: the trunk does not know its runs.
    """
    if "validation" not in spec.evaluation.sets:
        return np.empty(0, dtype=np.int64)
    steps = np.unique(np.maximum(1, spec.steps // 2 ** np.arange(spec.evaluation.points)))
    if not spec.schedule.trunk:
        return steps
    branch = spec.branch_tokens // spec.batch_tokens
    return np.union1d(branch, steps[steps > branch])


def curve_table(spec: RunSpec, history: History, scale: Scale) -> pa.Table:
    """One row per recorded step, the last at the end of the run, however it ended."""
    steps = _recorded_steps(spec, history)
    clock = np.interp(steps, list(history.clock), list(history.clock.values()))
    before = zip([0, *steps.tolist()], [0.0, *clock.tolist()], strict=False)
    rows = [
        _progress(spec, step) | _measured(spec, history, scale, step) | _speed(spec, history, scale, step, wall, *last)
        for step, wall, last in zip(steps.tolist(), clock.tolist(), before, strict=False)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _recorded_steps(spec: RunSpec, history: History) -> NDArray[np.int64]:
    marks = np.geomspace(1, spec.steps, CURVE_ROWS).round().astype(np.int64)
    steps = np.union1d(marks, np.array([*history.validation, history.steps], dtype=np.int64))
    return steps[steps <= history.steps]


def _progress(spec: RunSpec, step: int) -> dict[str, Any]:
    tokens = step * spec.batch_tokens
    return {
        "run": spec.run_id,
        "step": step,
        "tokens": tokens,
        "progress": tokens / spec.tokens,
        "flops_matmul": float(tokens * spec.architecture.shape.flops_per_token("matmul")),
        "learning_rate": learning_rate(spec, tokens - spec.batch_tokens),
    }


def _measured(spec: RunSpec, history: History, scale: Scale, step: int) -> dict[str, Any]:
    validation = history.validation.get(step)
    per_byte = None if validation is None else validation / log(2) / scale.validation_bytes_per_token
    return {
        "train_loss_nats": finite(history.losses[step - 1]),
        "train_loss_smoothed_nats": finite(history.smoothed(step)),
        "validation_loss_nats": finite(validation),
        "validation_bits_per_byte": finite(per_byte),
        "validation_loss_by_position_nats": history.by_position.get(step),
        "gradient_norm": finite(history.gradient_norms[step - 1]),
        "noise_scale_tokens": history.noise_scale(step),
    }


def _speed(
    spec: RunSpec, history: History, scale: Scale, step: int, wall_s: float, before: int, before_s: float
) -> dict[str, Any]:
    """Speed since the row before, evaluations and checkpoints included, and the memory of the process by then."""
    took = wall_s - before_s
    rate = (step - before) * spec.batch_tokens / took if took > 0 else None
    share = None
    if rate is not None and scale.peak_flops_per_s is not None:
        share = rate * spec.architecture.shape.flops_per_token("matmul") / scale.peak_flops_per_s
    at = next((known for known in history.memory if known >= step), None)
    memory = None if at is None else history.memory[at]
    return {"wall_s": wall_s, "tokens_per_s": rate, "flops_share_of_peak": share, "peak_memory_bytes": memory}


def finite(value: float | None) -> float | None:
    """None for what is not a finite number: Parquet and JSON have a word for it."""
    return value if value is not None and isfinite(value) else None

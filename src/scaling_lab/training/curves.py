"""The history of a run: what is recorded at every optimizer step, and the rows that go to metrics.parquet."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scaling_lab.spec import RunSpec
from scaling_lab.training.schedule import learning_rate

# Rows of a learning curve, geometrically spaced: enough for a smooth line over any number of decades.
CURVE_ROWS = 200
# The smoothed training loss is the mean over this share of the run so far (Porian et al. 2024 use the same 5 %).
SMOOTHING_SHARE = 0.05

SCHEMA = pa.schema(
    [
        ("run", pa.string()),
        ("step", pa.int64()),
        ("tokens", pa.int64()),
        ("progress", pa.float64()),
        ("learning_rate", pa.float64()),
        ("train_loss_nats", pa.float64()),
        ("train_loss_smoothed_nats", pa.float64()),
        ("validation_loss_nats", pa.float64()),
        ("gradient_norm", pa.float64()),
        ("noise_scale_tokens", pa.float64()),
        ("wall_s", pa.float64()),
    ]
)
"""Columns of metrics.parquet, of trained and of simulated runs. What a run did not measure is null."""


@dataclass
class History:
    """Loss and gradient norm of each step, validation losses by step, the clock at some steps, and the steps at which
    an attempt started: 0, then wherever an interrupted run went on.
    """

    losses: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    validation: dict[int, float] = field(default_factory=dict)
    clock: dict[int, float] = field(default_factory=lambda: {0: 0.0})
    starts: list[int] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Training time so far, over all interrupted attempts."""
        return max(self.clock.values())

    def smoothed(self, step: int) -> float:
        """Mean training loss over the last 5 % of the first `step` steps."""
        window = max(1, round(step * SMOOTHING_SHARE))
        return float(np.mean(self.losses[step - window : step]))


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


def curve_table(spec: RunSpec, history: History) -> pa.Table:
    """One row per recorded step."""
    marks = np.geomspace(1, spec.steps, CURVE_ROWS).round().astype(np.int64)
    steps = np.union1d(marks, np.array(sorted(history.validation), dtype=np.int64))
    clock = np.interp(steps, list(history.clock), list(history.clock.values()))
    rows = [_row(spec, history, int(step), float(wall)) for step, wall in zip(steps, clock, strict=True)]
    return pa.Table.from_pylist(rows, SCHEMA)


def _row(spec: RunSpec, history: History, step: int, wall_s: float) -> dict[str, Any]:
    tokens = step * spec.batch_tokens
    return {
        "run": spec.run_id,
        "step": step,
        "tokens": tokens,
        "progress": tokens / spec.tokens,
        "learning_rate": learning_rate(spec, tokens - spec.batch_tokens),
        "train_loss_nats": history.losses[step - 1],
        "train_loss_smoothed_nats": history.smoothed(step),
        "validation_loss_nats": history.validation.get(step),
        "gradient_norm": history.gradient_norms[step - 1],
        "wall_s": wall_s,
    }

"""The runs of the study `tuning` with a planted valley of the loss in batch and rate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.fits.planted_reconciliation import experiment, row_of

from scaling_lab.science.laws import Array
from scaling_lab.spec import RunSpec

C, P, R, CURVATURE = 0.6, 0.5, 0.1, 0.01
STEPS = 60


def best_batch(params: float | Array, tokens: Array) -> Array:
    return np.asarray(C * tokens**P * params**R)


def loss_at(spec: RunSpec, tokens: Array) -> Array:
    """A valley in batch and rate over a loss that falls with tokens; the best rate grows as the root of the batch."""
    params = spec.architecture.shape.params_non_embedding
    off = np.log(spec.batch_tokens / best_batch(params, tokens))
    rate = np.log(spec.optimizer.learning_rate / (0.095 * params**-0.32) / (spec.batch_tokens / 512) ** 0.5)
    return np.asarray(12 * tokens**-0.07 * params**-0.02 * (1 + CURVATURE * off**2 + 0.01 * rate**2))


def write_scan(folder: Path, keep: Callable[[RunSpec], bool] = lambda spec: True) -> tuple[Path, Path]:
    """Tables of the runs of `tuning` that are kept, with seed noise of 0.1 %."""
    rows, curves = list[dict[str, Any]](), list[pa.Table]()
    for run, spec in experiment().study_runs["tuning"].items():
        if not keep(spec):
            continue
        steps = np.unique(np.geomspace(1, spec.steps, STEPS).round())
        noise = np.exp(0.001 * np.random.default_rng(list(run.encode())).standard_normal())
        loss = loss_at(spec, steps * spec.batch_tokens) * noise
        rows.append(row_of(run, spec, float(loss[-1])))
        curves.append(pa.table({
            "run": [run] * len(steps), "step": steps, "learning_rate": np.where(steps < 5, 0.5, 1.0),
            "train_loss_smoothed_nats": loss, "noise_scale_tokens": np.full(len(steps), np.nan),
        }))  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "runs.parquet")
    pq.write_table(pa.concat_tables(curves), folder / "curves.parquet")
    return folder / "runs.parquet", folder / "curves.parquet"

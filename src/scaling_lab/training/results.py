"""What a finished run leaves: its losses on every evaluation set, metrics.parquet and summary.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from scaling_lab.corpus.store import TokenStore
from scaling_lab.files import atomic_path, write_text
from scaling_lab.spec import RunSpec
from scaling_lab.training.curves import Scale, curve_table, finite
from scaling_lab.training.data import evaluation_windows
from scaling_lab.training.evaluation import loss_by_position
from scaling_lab.training.history import History
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.signals import StopRequest
from scaling_lab.training.stopping import best_step
from scaling_lab.training.summary import Outcome, evaluation, summarize

Evaluations = dict[str, dict[str, Any]]


def evaluate(spec: RunSpec, store: TokenStore, module: LanguageModel, request: StopRequest) -> Evaluations:
    """Losses on every set of the spec. Raises InterruptedTrainingError between two sets when a signal asks for it."""
    results = {}
    for name in spec.evaluation.sets:
        request.raise_if_set("stopped in the final evaluation, with a checkpoint")
        windows = evaluation_windows(store, name, spec)
        by_position = loss_by_position(module.model, windows)
        loss = by_position.mean().item()
        results[name] = evaluation(loss, by_position.tolist(), store.bytes_per_token(name), len(windows))
    return results


def write_results(
    run_dir: Path,
    spec: RunSpec,
    history: History,
    evaluations: Evaluations,
    scale: Scale,
    execution: Mapping[str, Any],
) -> None:
    """Write metrics.parquet, then summary.json. `evaluations` is empty for a run that diverged.

    execution: what the run was trained on, as further keys of the summary.
    """
    with atomic_path(run_dir / "metrics.parquet") as partial:
        pq.write_table(curve_table(spec, history, scale), partial)
    summary = summarize(spec, evaluations, _outcome(spec, history, scale), execution)
    write_text(run_dir / "summary.json", json.dumps(summary, indent=1, allow_nan=False))


def _outcome(spec: RunSpec, history: History, scale: Scale) -> Outcome:
    return Outcome(
        steps=history.steps,
        wall_s=history.seconds,
        train_loss_nats=finite(history.smoothed(history.steps)),
        noise_scale_tokens=history.noise_scale(history.steps),
        starts=history.starts,
        diverged_at=history.diverged_at,
        stopped_at=history.stopped_at,
        best_at=best_step(history.validation) if spec.stopping and history.validation else None,
        peak_flops_per_s=scale.peak_flops_per_s,
        peak_memory_bytes=max(history.memory.values()),
    )

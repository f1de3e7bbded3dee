"""What a finished run leaves: its losses on every evaluation set, metrics.parquet and summary.json."""

import json
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from math import log
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

Evaluations = dict[str, dict[str, Any]]


def evaluate(spec: RunSpec, store: TokenStore, module: LanguageModel, request: StopRequest) -> Evaluations:
    """Losses on every set of the spec. Raises InterruptedTrainingError between two sets when a signal asks for it."""
    results = {}
    for name in spec.evaluation.sets:
        request.raise_if_set("stopped in the final evaluation, with a checkpoint")
        windows = evaluation_windows(store, name, spec)
        by_position = loss_by_position(module.model, windows)
        loss = by_position.mean().item()
        results[name] = {
            "loss_nats": loss,
            "bits_per_byte": loss / log(2) / store.bytes_per_token(name),
            "tokens": len(windows) * spec.architecture.context,
            "loss_by_position_nats": by_position.tolist(),
        }
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
    summary = _outcome(spec, history, evaluations) | _cost(spec, history, scale) | dict(execution)
    write_text(run_dir / "summary.json", json.dumps(summary, indent=1, allow_nan=False))


def _outcome(spec: RunSpec, history: History, evaluations: Evaluations) -> dict[str, Any]:
    batch = spec.batch_tokens
    best = best_step(history.validation) if spec.stopping and history.validation else None
    return {
        "run": spec.run_id,
        "status": "ok" if history.diverged_at is None else "diverged",
        "steps": history.steps,
        "tokens": history.steps * batch,
        "diverged_at_tokens": _tokens(history.diverged_at, batch),
        "stopped_at_tokens": _tokens(history.stopped_at, batch),
        "best_tokens": _tokens(best, batch),
        "train_loss_nats": finite(history.smoothed(history.steps)),
        "noise_scale_tokens": history.noise_scale(history.steps),
        "evaluations": evaluations,
        "started_at_steps": history.starts,
    }


def _tokens(step: int | None, batch: int) -> int | None:
    return None if step is None else step * batch


def _cost(spec: RunSpec, history: History, scale: Scale) -> dict[str, Any]:
    tokens, seconds = history.steps * spec.batch_tokens, history.seconds
    flops = float(tokens * spec.architecture.shape.flops_per_token("matmul"))
    peak = scale.peak_flops_per_s
    return {
        "wall_s": seconds,
        "tokens_per_s": tokens / seconds,
        "flops_matmul": flops,
        "peak_flops_per_s": peak,
        "flops_share_of_peak": None if peak is None else flops / seconds / peak,
        "peak_memory_bytes": max(history.memory.values()),
        "finished": time.time(),
        "host": platform.node(),
        "versions": {name: version(name) for name in ("scaling-lab", "torch", "lightning", "numpy")},
    }

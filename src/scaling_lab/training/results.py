"""What a finished run leaves: its losses on every evaluation set, metrics.parquet and summary.json."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from scaling_lab.corpus.store import TokenStore
from scaling_lab.files import atomic_path, write_text
from scaling_lab.spec import RunSpec
from scaling_lab.training.curves import Scale, curve_table, finite
from scaling_lab.training.data import evaluation_windows
from scaling_lab.training.evaluation import loss_by_position
from scaling_lab.training.execution import Execution
from scaling_lab.training.history import History
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.signals import StopRequest
from scaling_lab.training.stopping import best_step
from scaling_lab.training.summary import evaluation, summarize

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
    how: Execution,
    *,
    device: str,
) -> None:
    """Write metrics.parquet, then summary.json. `evaluations` is empty for a run that diverged."""
    with atomic_path(run_dir / "metrics.parquet") as partial:
        pq.write_table(curve_table(spec, history, scale), partial)
    common = summarize(
        spec,
        evaluations,
        train_loss_nats=finite(history.smoothed(history.steps)),
        starts=history.starts,
        wall_s=history.seconds,
        device=device,
        threads=how.threads,
    )
    summary = common | _ending(spec, history) | _cost(spec, history, scale) | {"devices": how.devices}
    write_text(run_dir / "summary.json", json.dumps(summary, indent=1, allow_nan=False))


def _ending(spec: RunSpec, history: History) -> dict[str, Any]:
    """How far the run came, and why not further."""
    best = best_step(history.validation) if spec.stopping and history.validation else None
    ends = {"diverged_at": history.diverged_at, "stopped_at": history.stopped_at, "best": best}
    return {
        "status": "ok" if history.diverged_at is None else "diverged",
        "steps": history.steps,
        "tokens": history.steps * spec.batch_tokens,
        **{f"{name}_tokens": None if step is None else step * spec.batch_tokens for name, step in ends.items()},
        "noise_scale_tokens": history.noise_scale(history.steps),
    }


def _cost(spec: RunSpec, history: History, scale: Scale) -> dict[str, Any]:
    tokens, seconds = history.steps * spec.batch_tokens, history.seconds
    flops = float(tokens * spec.architecture.shape.flops_per_token("matmul"))
    peak = scale.peak_flops_per_s
    return {
        "tokens_per_s": tokens / seconds,
        "flops_matmul": flops,
        "peak_flops_per_s": peak,
        "flops_share_of_peak": None if peak is None else flops / seconds / peak,
        "peak_memory_bytes": max(history.memory.values()),
    }

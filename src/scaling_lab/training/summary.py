"""summary.json: what a run came to. One definition for the trainer and for the simulator; imports no torch."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import log
from typing import Any

from scaling_lab.spec import RunSpec


@dataclass(frozen=True)
class Outcome:
    """How a run went: steps trained, seconds, final loss, noise scale, and the steps where it ended early or was best.

    starts: steps at which an attempt started; peak_flops_per_s, peak_memory_bytes: None where nothing was measured.
    """

    steps: int
    wall_s: float
    train_loss_nats: float | None
    noise_scale_tokens: float | None
    starts: Sequence[int]
    diverged_at: int | None = None
    stopped_at: int | None = None
    best_at: int | None = None
    peak_flops_per_s: float | None = None
    peak_memory_bytes: int | None = None


def evaluation(loss: float, by_position: Sequence[float], bytes_per_token: float, windows: int) -> dict[str, Any]:
    """The entry of one evaluation set of `windows` contexts: mean loss and loss by position, nats per token."""
    return {
        "loss_nats": loss,
        "bits_per_byte": loss / log(2) / bytes_per_token,
        "tokens": windows * len(by_position),
        "loss_by_position_nats": list(by_position),
    }


def summarize(
    spec: RunSpec, evaluations: Mapping[str, Mapping[str, Any]], outcome: Outcome, execution: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of summary.json. `evaluations` is empty for a run that diverged.

    execution: what the run was trained on, as further keys.
    """
    return _result(spec, evaluations, outcome) | _cost(spec, outcome) | dict(execution)


def _result(spec: RunSpec, evaluations: Mapping[str, Mapping[str, Any]], outcome: Outcome) -> dict[str, Any]:
    batch = spec.batch_tokens
    return {
        "run": spec.run_id,
        "status": "ok" if outcome.diverged_at is None else "diverged",
        "simulated": spec.simulate is not None,
        "steps": outcome.steps,
        "tokens": outcome.steps * batch,
        "diverged_at_tokens": _tokens(outcome.diverged_at, batch),
        "stopped_at_tokens": _tokens(outcome.stopped_at, batch),
        "best_tokens": _tokens(outcome.best_at, batch),
        "train_loss_nats": outcome.train_loss_nats,
        "noise_scale_tokens": outcome.noise_scale_tokens,
        "evaluations": evaluations,
        "started_at_steps": outcome.starts,
    }


def _tokens(step: int | None, batch: int) -> int | None:
    return None if step is None else step * batch


def _cost(spec: RunSpec, outcome: Outcome) -> dict[str, Any]:
    """A simulated run took no time that means anything: its speed is null."""
    tokens, seconds, peak = outcome.steps * spec.batch_tokens, outcome.wall_s, outcome.peak_flops_per_s
    flops = float(tokens * spec.architecture.shape.flops_per_token("matmul"))
    return {
        "wall_s": seconds,
        "tokens_per_s": tokens / seconds if seconds else None,
        "flops_matmul": flops,
        "peak_flops_per_s": peak,
        "flops_share_of_peak": flops / seconds / peak if peak and seconds else None,
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "finished": time.time(),
        "host": platform.node(),
        "versions": {name: version(name) for name in ("scaling-lab", "torch", "lightning", "numpy")},
    }

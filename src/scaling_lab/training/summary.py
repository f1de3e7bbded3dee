"""summary.json: what a run came to. One definition for the trainer and for the simulator; imports no torch."""

import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from math import log
from typing import Any

from scaling_lab.spec import RunSpec

# What training alone measures, or comes to: null in the summary of a simulated run.
TRAINED = (
    "diverged_at_tokens", "stopped_at_tokens", "best_tokens", "noise_scale_tokens", "peak_flops_per_s",
    "flops_share_of_peak", "peak_memory_bytes",
)  # fmt: skip


def evaluation(loss: float, by_position: Sequence[float], bytes_per_token: float, windows: int) -> dict[str, Any]:
    """The entry of one evaluation set of `windows` contexts: mean loss and loss by position, nats per token."""
    return {
        "loss_nats": loss,
        "bits_per_byte": loss / log(2) / bytes_per_token,
        "tokens": windows * len(by_position),
        "loss_by_position_nats": list(by_position),
    }


def summarize(
    spec: RunSpec,
    evaluations: Mapping[str, Mapping[str, Any]],
    *,
    train_loss_nats: float | None,
    starts: Sequence[int],
    wall_s: float,
    device: str,
    threads: int,
) -> dict[str, Any]:
    """The content of summary.json. A simulated run took no time that means anything: its speed is null."""
    return {
        "run": spec.run_id,
        "status": "ok",
        "simulated": spec.simulate is not None,
        "steps": spec.steps,
        "tokens": spec.tokens,
        "train_loss_nats": train_loss_nats,
        "evaluations": evaluations,
        "started_at_steps": starts,
        "wall_s": wall_s,
        "tokens_per_s": spec.tokens / wall_s if wall_s else None,
        "flops_matmul": spec.flops("matmul"),
        **dict.fromkeys(TRAINED),
        "finished": time.time(),
        "host": platform.node(),
        "versions": {name: version(name) for name in ("scaling-lab", "torch", "lightning", "numpy")},
        "device": device,
        "devices": 1,
        "threads": threads,
    }

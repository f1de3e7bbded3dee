"""Train one segment of a trunk: the constant-rate part that runs of several horizons share."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from torch import nn

from scaling_lab.files import write_text
from scaling_lab.spec import RunSpec
from scaling_lab.training.curves import finite
from scaling_lab.training.engine import Execution, last_checkpoint, training
from scaling_lab.training.gradients import whole


def segment_folder(manifest: Path | None) -> Path | None:
    """The folder with the checkpoint of the segment that a manifest is of. Says so where the checkpoint is gone.

    Whatever starts there then trains from the beginning of the trunk, to the same bits.
    """
    if manifest is None:
        return None
    folder = manifest.with_suffix("")
    if last_checkpoint(folder) is None:
        print(f"scaling-lab: {folder}: no checkpoint here; training the trunk again", file=sys.stderr)
    return folder


def train_trunk(
    root: RunSpec, tokens: int, dataset: Path, manifest: Path, *, start: Path | None, **execution: Any
) -> None:
    """Train the trunk of `root` up to `tokens` from the segment whose manifest is `start`, and write `manifest`.

    The manifest holds nothing that differs between two trainings: id, tokens, status, smoothed loss in nats, SHA-256 of
    the weights. The checkpoint is in the folder of the same name beside it; where it is there, nothing is trained. A
    trunk that diverges has no weights and no checkpoint at its end: its runs go on from the one before, and diverge.

    Raises:
        TrainingError, ConfigError, InterruptedTrainingError: see `engine.training`.
    """
    segment, folder = root.trunk_segment(tokens), manifest.with_suffix("")
    with training(segment, dataset, folder, Execution(**execution), segment_folder(start)) as trained:
        history = trained.recorder.history
        diverged = history.diverged_at is not None
        content = {
            "trunk": root.trunk_id,
            "tokens": history.steps * segment.batch_tokens,
            "status": "diverged" if diverged else "ok",
            "train_loss_nats": finite(history.smoothed(history.steps)),
            "weights_sha256": None if diverged else weights_sha256(trained.module.model),
        }
        if trained.trainer.is_global_zero:
            write_text(manifest, json.dumps(content, indent=1))


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 of all weights in the order of their names."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + whole(value).cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()

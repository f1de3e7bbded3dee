"""Train one segment of a trunk: the constant-rate part that runs of several horizons share."""

import hashlib
import json
import sys
from pathlib import Path

from torch import nn

from scaling_lab.files import write_text
from scaling_lab.spec import RunSpec
from scaling_lab.training.run import fit, last_checkpoint, prepared_store


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
    root: RunSpec,
    tokens: int,
    dataset: Path,
    manifest: Path,
    *,
    start: Path | None,
    threads: int,
    checkpoint_seconds: float = 30,
) -> None:
    """Train the trunk of `root` up to `tokens` from the segment whose manifest is `start`, and write `manifest`.

    The manifest holds nothing that differs between two trainings: id, tokens, smoothed loss in nats, SHA-256 of the
    weights. The checkpoint is in the folder of the same name beside it; where it is there, nothing is trained.

    Raises:
        TrainingError: the vocabulary or the text does not fit the spec, or the loss is not finite.
    """
    segment, folder = root.trunk_segment(tokens), manifest.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    with prepared_store(segment, dataset, folder, threads) as store:
        recorder, module, _ = fit(segment, store, folder, checkpoint_seconds, segment_folder(start))
        content = {
            "trunk": root.trunk_id,
            "tokens": tokens,
            "train_loss_nats": recorder.history.smoothed(segment.steps),
            "weights_sha256": weights_sha256(module.model),
        }
        write_text(manifest, json.dumps(content, indent=1))


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 of all weights in the order of their names."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()

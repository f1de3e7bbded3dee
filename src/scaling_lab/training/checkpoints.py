"""Checkpoints that survive a kill, a full disk and a bad one: written whole, the last two kept, each with its digest.

The name is `{step}-{digest}.ckpt`, the digest that of the file's bytes: one that is truncated, flipped in a bit or
empty does not match its name, is reported and passed over for the one before.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

KEPT = 2
_DIGEST_BYTES = 16


def save_checkpoint(folder: Path, step: int, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a file, and keep it in `folder` as the checkpoint of `step`, with the one before it.

    The file is on the disk before it gets its name, and the name before anything older is removed. A write that fails
    (a full disk) leaves `folder` as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / ".partial"  # the run's lock admits one writer; a kill leaves at most this file, overwritten next
    try:
        write(partial)
        _sync(partial)
        path = folder / f"{step:010d}-{digest_of(partial)}.ckpt"
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _sync(folder)
    others = [other for other in _newest_first(folder) if other != path]
    later = [other for other in others if other.name.partition("-")[0] >= path.name.partition("-")[0]]
    for old in later + others[len(later) :][KEPT - 1 :]:  # a later one is damaged, or training would have gone on there
        old.unlink()
    return path


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in `folder` that is whole; those that are not are named on standard error."""
    for path in _newest_first(folder):
        found = digest_of(path)
        if path.stem.partition("-")[2] == found:
            return path
        size = path.stat().st_size
        print(
            f"scaling-lab: {path}: checkpoint is damaged ({size} bytes with digest {found}); using the one before it",
            file=sys.stderr,
        )
    return None


def digest_of(path: Path) -> str:
    """BLAKE2b of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)).hexdigest()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*-*.ckpt"), reverse=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Writing files so that a kill or a full disk never leaves half of one under its final name."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed to `path` when the block ends well, removed when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def digest_of(paths: Iterable[Path], base: Path) -> str:
    """Sixteen hexadecimal digits of what files are named below `base`, and of what they say."""
    hashed = hashlib.blake2b(digest_size=8)
    for path in sorted(paths):
        hashed.update(str(path.relative_to(base)).encode() + b"\0" + path.read_bytes() + b"\0")
    return hashed.hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Manifests and other files of this package: written whole or not at all, with one message for a full disk."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scaling_lab import files
from scaling_lab.errors import CorpusError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends without an error.

    A full disk, or any other failure of the file system, becomes a CorpusError and leaves nothing behind.
    """
    try:
        with files.atomic_path(path) as partial:
            yield partial
    except OSError as error:
        raise CorpusError(write_failure(path, error)) from error


def write_failure(path: Path, error: OSError) -> str:
    """The one message for a file that could not be written."""
    # pyarrow raises a bare OSError for some failures and puts the reason into its text alone.
    if error.errno == errno.ENOSPC or "No space left" in str(error):
        return f"{path}: the disk is full; free some space or choose another results directory, then run again"
    return f"{path}: cannot be written: {error}"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a manifest. Raises CorpusError if it is missing or is not a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CorpusError(f"{path}: is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise CorpusError(f"{path}: holds a JSON {type(content).__name__}, expected an object")
    return content

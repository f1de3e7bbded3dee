"""Files appear under their final name only when they are whole."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scaling_lab.errors import CorpusError


def temporary_path(path: Path) -> Path:
    """The name beside `path` under which this process writes it."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends without an error.

    A full disk, or any other failure of the file system, becomes a CorpusError and leaves nothing behind.
    """
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise CorpusError(write_failure(path, error)) from error
    finally:
        with suppress(OSError):          # it is gone after os.replace, or its directory never was one
            temporary.unlink()


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


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

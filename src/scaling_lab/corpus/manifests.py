"""Manifests: JSON objects, written whole or not at all. A full disk is the command line's to explain (`cli.main`)."""

import json
from pathlib import Path
from typing import Any

from scaling_lab.errors import CorpusError
from scaling_lab.files import write_text


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


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

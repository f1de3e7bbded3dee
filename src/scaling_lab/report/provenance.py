"""Where everything came from: texts with their licences, tokenizer, tables by hash, versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaling_lab.errors import CorpusError
from scaling_lab.files import sha256_of

PLANS = ("plan", "backtest", "noise", "approaches", "sensitivity")


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest of a corpus or a token store. Raises CorpusError if there is none."""
    if not path.exists():
        raise CorpusError(f"{path}: no such manifest")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def texts(corpus: Mapping[str, Any], tokens: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every text used, with attribution and licence: first what was trained on, then what was only evaluated on."""
    used = {name: {**source, "use": "trained on"} for name, source in corpus["sources"].items()}
    for token_set in tokens["sets"].values():
        for name, source in token_set.get("sources", {}).items():
            used.setdefault(name, {**source, "use": "evaluated on", "bytes": token_set["bytes"]})
    return [{"name": name, **source} for name, source in used.items()]


def token_sets(tokens: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The token sets with their sizes."""
    return [{"name": name, **entry} for name, entry in tokens["sets"].items()]


def bytes_per_token(tokens: Mapping[str, Any], loss_column: str) -> float | None:
    """Bytes per token of the set that a loss column belongs to; None for a set that the store lacks."""
    name = loss_column.removesuffix("_nats").removesuffix("_loss").removeprefix("loss_")
    entry = tokens["sets"].get(name)
    return None if entry is None else float(entry["bytes_per_token"])


def hashed_files(results: Path, study: str, corpus: Path, tokens: Path) -> list[dict[str, str]]:
    """The files that the report was made from, with the SHA-256 of each."""
    folders = ((results / "tables" / study, "*.parquet"), (results / "fits" / study, "*.json"))
    paths = [path for folder, pattern in folders for path in sorted(folder.glob(pattern))]
    paths += [results / "plans" / study / f"{name}.json" for name in PLANS]
    return [{"path": _shown(path, results), "sha256": sha256_of(path)} for path in (*paths, corpus, tokens)]


def _shown(path: Path, results: Path) -> str:
    return str(path.relative_to(results)) if path.is_relative_to(results) else str(path)

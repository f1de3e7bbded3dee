"""Where everything came from: texts with their licences, tokenizer, tables by hash, versions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling_lab.errors import CorpusError
from scaling_lab.files import sha256_of


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest of a corpus or a token store. Raises CorpusError if there is none."""
    if not path.exists():
        raise CorpusError(f"{path}: no such manifest")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


@dataclass(frozen=True)
class Dataset:
    """A token store and the corpus that it was made of, by their manifests."""

    name: str
    tokens: Mapping[str, Any]
    corpus: Mapping[str, Any]
    manifests: tuple[Path, Path]

    @property
    def sets(self) -> list[dict[str, Any]]:
        """The token sets with their sizes."""
        return [{"name": name, **entry} for name, entry in self.tokens["sets"].items()]


def read_datasets(corpora: Sequence[Path], tokens: Sequence[Path]) -> list[Dataset]:
    """The datasets of token manifests, each with its corpus. Raises CorpusError if a manifest or corpus is missing."""
    by_blocks = {manifest["sha256"]: (path, manifest) for path in corpora for manifest in [read_manifest(path)]}
    datasets = []
    for path in tokens:
        manifest = read_manifest(path)
        if manifest["blocks_sha256"] not in by_blocks:
            raise CorpusError(f"{path}: is made of none of the corpora {', '.join(map(str, corpora))}")
        corpus_path, corpus = by_blocks[manifest["blocks_sha256"]]
        datasets.append(Dataset(path.parent.name, manifest, corpus, (corpus_path, path)))
    return datasets


def texts(datasets: Sequence[Dataset]) -> list[dict[str, Any]]:
    """Every text used, with attribution and licence: first what was trained on, then what was only evaluated on."""
    used = {
        name: {**source, "use": "trained on"} for data in datasets for name, source in data.corpus["sources"].items()
    }
    for token_set in (token_set for data in datasets for token_set in data.tokens["sets"].values()):
        for name, source in token_set.get("sources", {}).items():
            used.setdefault(name, {**source, "use": "evaluated on", "bytes": token_set["bytes"]})
    return [{"name": name, **source} for name, source in used.items()]


def bytes_per_token(runs: Sequence[Mapping[str, Any]], loss_column: str) -> float | None:
    """Bytes per token of the set that a loss column belongs to; None where the runs' datasets differ in it."""
    name = loss_column.removesuffix("_nats").removesuffix("_loss").removeprefix("loss_")
    if f"bits_per_byte_{name}" not in runs[0] or len({row["tokens_id"] for row in runs}) > 1:
        return None
    return float(runs[0][loss_column] / math.log(2) / runs[0][f"bits_per_byte_{name}"])


def hashed_files(results: Path, study: str, datasets: Sequence[Dataset]) -> list[dict[str, str]]:
    """The files that the report was made from, with the SHA-256 of each."""
    patterns = {"tables": "*.parquet", "fits": "*.json", "plans": "*.json"}
    paths = [path for stage, pattern in patterns.items() for path in sorted((results / stage / study).glob(pattern))]
    manifests = dict.fromkeys(path for data in datasets for path in data.manifests)
    return [{"path": _shown(path, results), "sha256": sha256_of(path)} for path in (*paths, *manifests)]


def _shown(path: Path, results: Path) -> str:
    return str(path.relative_to(results)) if path.is_relative_to(results) else str(path)

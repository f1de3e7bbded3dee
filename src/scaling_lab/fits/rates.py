"""What sweeps of the learning rate say of a study's runs: which lie off their best rate, and up to which size it is
known. A run's id is its content, so that the sweeps of other studies speak for the runs that they share."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

OFF_OPTIMUM = 0.01  # relative loss above the best of a sweep from which a rate is called off its optimum
COLUMN = "params_non_embedding"  # what N of the sweeps counts


@dataclass(frozen=True)
class RateEvidence:
    """Of a study's runs: how many are held against a sweep, those off their best rate and the relative loss above which
    they are called so, and the largest size that was swept, without embeddings."""

    known: int
    off: tuple[str, ...]
    threshold: float
    largest: float


def rate_evidence(results: Path, runs: Collection[str]) -> RateEvidence | None:
    """What `tuning` fits of any study in `results` say of these runs, or else its sweeps; None where none has one."""
    for fit, read in (("tuning", _of_cells), ("learning_rate", _of_sweeps)):
        found = [
            evidence
            for path in sorted(results.glob(f"fits/*/{fit}.json"))
            if (evidence := _shared(path, read, frozenset(runs))) is not None
        ]
        if found:
            return max(found, key=lambda evidence: evidence.known)
    return None


def _shared(path: Path, read: Any, runs: frozenset[str]) -> RateEvidence | None:
    """What one fit says; None where it is refused or of other runs."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["status"] != "ok":
        return None
    held = runs.intersection(pq.read_table(path.with_suffix(".points.parquet"), columns=["run"])["run"].to_pylist())
    if not held:
        return None
    off, threshold, largest = read(document)
    return RateEvidence(len(held), tuple(sorted(held.intersection(off))), threshold, largest)


def _of_cells(document: Mapping[str, Any]) -> tuple[list[str], float, float]:
    """Runs that are expected to lose more than a threshold by their rate."""
    cells = document["cells"]
    return cells["beyond"], cells["near_optimal"], max(document["rules"][0]["params"])


def _of_sweeps(document: Mapping[str, Any]) -> tuple[list[str], float, float]:
    """Runs of the sweeps that measurably lost more than a threshold."""
    sizes = [size for size in document["sizes"] if size["status"] == "ok"]
    off = [run for size in sizes for run in size["off_optimum"]]
    return off, OFF_OPTIMUM, max(size[COLUMN] for size in sizes)

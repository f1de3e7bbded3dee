"""A finished study by the path that a user types: results/STUDY, or the folder of its fits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling_lab.errors import TableError


@dataclass(frozen=True)
class StudyFolder:
    """Where the artifacts of a study lie."""

    results: Path
    name: str

    @property
    def fits(self) -> Path:
        """Folder of its fits."""
        return self.results / "fits" / self.name

    @property
    def runs(self) -> Path:
        """Its table of runs."""
        return self.results / "tables" / self.name / "runs.parquet"

    def plan_file(self, name: str) -> Path:
        """plan, backtest, noise, approaches or sensitivity."""
        return self.results / "plans" / self.name / f"{name}.json"

    def document(self, name: str) -> dict[str, Any]:
        """One of the documents of `plan_file`. Raises TableError where it is missing."""
        path = self.plan_file(name)
        if not path.exists():
            raise TableError(f"{path}: no such file; `snakemake` writes it when the study is finished")
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "simulated" not in document["provenance"]:
            raise TableError(f"{path}: written by an earlier version of scaling-lab; `snakemake` brings it up to date")
        return document

    def fit_document(self, name: str) -> dict[str, Any]:
        """The JSON of a fit. Raises TableError where it is missing."""
        path = self.fits / f"{name}.json"
        if not path.exists():
            raise TableError(f"{path}: no such fit; the study's plan rests on it")
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return document

    def optional_document(self, name: str) -> dict[str, Any] | None:
        """The same; None where it is missing."""
        return self.document(name) if self.plan_file(name).exists() else None


def study_folder(path: Path) -> StudyFolder:
    """The study that results/STUDY, results/fits/STUDY or results/plans/STUDY names. Raises TableError for none."""
    for results in (path.parent, path.parent.parent):
        found = StudyFolder(results, path.name)
        if found.plan_file("plan").exists():
            return found
    known = sorted(p.parent.name for p in path.parent.glob("plans/*/plan.json"))
    allowed = f"{path.parent}/ has {', '.join(known)}" if known else f"{path.parent}/ has no plans of studies"
    raise TableError(f"{path}: no finished study; allowed: RESULTS/STUDY, such as results/default; {allowed}")

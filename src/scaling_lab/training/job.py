"""The training jobs of the workflow, by name and from their files: for a command's process or a server's child."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scaling_lab.spec import RunSpec
from scaling_lab.training.run import train
from scaling_lab.training.trunk import segment_folder, train_trunk


def perform(job: str, arguments: Mapping[str, Any]) -> None:
    """Do what `scaling-lab train` (job `train`) or `scaling-lab train-trunk` (job `train_trunk`) asks for."""
    _JOBS[job](**arguments)


def _train(spec: str, dataset: str, trunk: str | None = None, **execution: Any) -> None:
    """spec: spec.json of a run, trained in its folder; dataset: manifest of a token store; trunk: of its segment."""
    folder = segment_folder(_path(trunk))
    train(_read(spec), Path(dataset).parent, Path(spec).parent, trunk_dir=folder, **execution)


def _train_trunk(spec: str, tokens: int, dataset: str, manifest: str, start: str | None, **execution: Any) -> None:
    """manifest: of the segment that ends at `tokens`, written here; start: of the one before."""
    train_trunk(_read(spec), tokens, Path(dataset).parent, Path(manifest), start=_path(start), **execution)


def _read(spec: str) -> RunSpec:
    return RunSpec.from_json(Path(spec).read_text(encoding="utf-8"))


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


_JOBS: dict[str, Callable[..., None]] = {"train": _train, "train_trunk": _train_trunk}

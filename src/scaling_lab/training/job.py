"""Train a run from its files: what `scaling-lab train` does, in its own process or in a child of the trainer server."""

from pathlib import Path
from typing import Any

from scaling_lab.spec import RunSpec
from scaling_lab.training.run import train


def train_files(spec: Path, dataset: Path, **options: Any) -> None:
    """Train the run that the file `spec` describes, in its folder, on the token store whose manifest is `dataset`.

    Args:
        spec: spec.json of a run.
        dataset: manifest.json of a token store.
        options: of `training.run.train`.
    """
    run = RunSpec.from_json(spec.read_text(encoding="utf-8"))
    train(run, dataset.parent, spec.parent, **options)

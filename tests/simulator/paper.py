"""The studies of config/kaplan2020.yaml with planted losses in the place of trained ones."""

import json
from pathlib import Path
from typing import Any

from scaling_lab.dry_run import read_configuration
from scaling_lab.experiment import Experiment, load_experiment
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.stage import run_fit
from scaling_lab.simulator.run import simulate
from scaling_lab.spec import canonical_json
from scaling_lab.tables import collect

REPOSITORY = Path(__file__).parents[2]


def paper(**changes: object) -> Experiment:
    """The experiment of config/kaplan2020.yaml and config/planted.yaml with other top-level keys."""
    overlays = [REPOSITORY / "config" / f"{name}.yaml" for name in ("kaplan2020", "planted")]
    return load_experiment(read_configuration(REPOSITORY, overlays) | changes, REPOSITORY / "config" / "studies")


def planted_tables(folder: Path, study: str, laws: str, seed: int = 0) -> Path:
    """runs.parquet and curves.parquet of a study, every run of that seed; the path of the first."""
    specs = [spec.model_copy(update={"seed": seed}) for spec in paper(studies=[study], simulate=laws).runs.values()]
    for spec in specs:
        (folder / spec.run_id).mkdir(parents=True)
        (folder / spec.run_id / "spec.json").write_text(canonical_json(spec))
        simulate(spec, folder / spec.run_id)
    runs = folder / "runs.parquet"
    collect([spec.run_id for spec in specs], folder, runs, folder / "curves.parquet")
    return runs


def fitted(runs: Path, options: FitOptions, *names: str) -> dict[str, dict[str, Any]]:
    """The documents of fits by name."""
    folder = runs.with_name("fits")
    for name in names:
        run_fit(name, runs, runs.with_name("curves.parquet"), folder, options)
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in names}


def holds(entry: dict[str, Any], low: float, high: float | None = None) -> bool:
    """Whether the interval of an estimate meets a value, or the range that a rounded one stands for."""
    bounds = entry["interval"]
    return bool(bounds["low"] <= (low if high is None else high) and low <= bounds["high"])

"""The tables of a study that ships, with losses of a test's own in the place of trained ones."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scaling_lab.dry_run import read_configuration
from scaling_lab.experiment import load_experiment
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.stage import run_fit
from scaling_lab.science.positions import position_bins
from scaling_lab.spec import RunSpec, canonical_json
from scaling_lab.tables import collect
from scaling_lab.training.curves import SCHEMA
from scaling_lab.training.summary import Outcome, evaluation, summarize

REPOSITORY = Path(__file__).parents[2]
BYTES_PER_TOKEN = 2.7
Losses = Callable[[RunSpec], float]


def noise_of(spec: RunSpec, sd: float = 0.002) -> float:
    """exp of a normal number that is a function of the run."""
    return float(np.exp(sd * np.random.default_rng(list(spec.run_id.encode())).standard_normal()))


def write_study(
    folder: Path,
    study: str,
    loss: Losses,
    *,
    others: Callable[[str, float], float] = lambda name, loss: loss,
    positions: Callable[[RunSpec, float], np.ndarray] | None = None,
    stopped: Callable[[RunSpec], int | None] = lambda spec: None,
    curve: Callable[[RunSpec, np.ndarray], np.ndarray] | None = None,
    config: str = "cpu",
) -> Path:
    """runs.parquet and curves.parquet of a study of config/{config}.yaml; the path of the first.

    others: loss on a set that is neither validation nor test. stopped: step at which a run's loss was best.
    """
    overlays = [REPOSITORY / "config" / f"{config}.yaml"]
    raw = read_configuration(REPOSITORY, overlays) | {"studies": [study]}
    runs = load_experiment(raw, REPOSITORY / "config" / "studies").study_runs[study]
    for run, spec in runs.items():
        own = folder / "runs" / run
        own.mkdir(parents=True)
        (own / "spec.json").write_text(canonical_json(spec))
        value = loss(spec)
        along = np.full(spec.architecture.context, value) if positions is None else positions(spec, value)
        sets = {
            name: evaluation(value if name in ("validation", "test") else others(name, value), along.tolist(),
                             BYTES_PER_TOKEN, 8)
            for name in spec.evaluation.sets
        }  # fmt: skip
        best = stopped(spec)
        outcome = Outcome(best or spec.steps, 1.0, value, None, [0], stopped_at=best, best_at=best)
        (own / "summary.json").write_text(json.dumps(summarize(spec, sets, outcome, {"device": "cpu"})))
        _write_curve(own, spec, curve)
    table = folder / "runs.parquet"
    collect(list(runs), folder / "runs", table, folder / "curves.parquet")
    return table


def _write_curve(folder: Path, spec: RunSpec, curve: Callable[[RunSpec, np.ndarray], np.ndarray] | None) -> None:
    steps = np.unique(np.geomspace(1, spec.steps, 40).round().astype(np.int64))
    values: dict[str, Any] = {
        "run": [spec.run_id] * len(steps), "step": steps, "tokens": steps * spec.batch_tokens,
        "progress": steps / spec.steps, "learning_rate": np.where(steps < 100, steps / 100, 1.0),
    }  # fmt: skip
    if curve is not None:
        losses, ranges = curve(spec, steps), len(position_bins(spec.architecture.context))
        values |= {
            "validation_loss_nats": losses,
            "validation_loss_by_position_nats": [[loss] * ranges for loss in losses.tolist()],
        }
    columns = [pa.array(values.get(name, [None] * len(steps)), SCHEMA.field(name).type) for name in SCHEMA.names]
    pq.write_table(pa.table(columns, SCHEMA), folder / "metrics.parquet")


def fit(table: Path, name: str, bootstrap: int = 60) -> dict[str, Any]:
    """The document of a fit."""
    folder = table.parent / "fits"
    run_fit(name, table, table.with_name("curves.parquet"), folder, FitOptions(bootstrap=bootstrap))
    document: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return document


def finding(document: Mapping[str, Any], beginning: str) -> dict[str, Any]:
    """The finding whose quantity begins so."""
    return next(entry for entry in document["findings"] if entry["quantity"].startswith(beginning))


def holds(entry: Mapping[str, Any], truth: float) -> bool:
    """Whether the interval of a finding contains a number."""
    return bool(entry["interval"]["low"] <= truth <= entry["interval"]["high"])

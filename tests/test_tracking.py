import json
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from scaling_lab.spec import canonical_json
from scaling_lab.tables import collect
from scaling_lab.tracking import publish
from scaling_lab.training.run import train
from tests.conftest import run_spec

FIT = {"status": "ok", "parameters": {"alpha": {"value": 0.3}}, "derived": {"a": {"value": 0.5}}}


@pytest.fixture
def results(dataset: Path, tmp_path: Path) -> Path:
    """Two trained runs, their tables and a fit."""
    specs = [run_spec(tokens=128 * 20, seed=seed) for seed in (0, 1)]
    for spec in specs:
        folder = tmp_path / "runs" / spec.run_id
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(canonical_json(spec))
        train(spec, dataset, folder, threads=1)
    tables = tmp_path / "tables" / "tiny"
    collect([spec.run_id for spec in specs], tmp_path / "runs", tables / "runs.parquet", tables / "curves.parquet")
    (tmp_path / "fits" / "tiny").mkdir(parents=True)
    (tmp_path / "fits" / "tiny" / "hoffmann.json").write_text(json.dumps(FIT))
    return tmp_path


def publish_and_count(results: Path) -> dict[str, int]:
    publish(["tiny"], results, results / "mlflow.json")
    counts: dict[str, int] = json.loads((results / "mlflow.json").read_text())["tiny"]
    return counts


def test_runs_and_fits_are_published_once_and_replaced_when_they_change(results: Path) -> None:
    assert publish_and_count(results) == {"written": 3, "kept": 0, "replaced_or_removed": 0}
    assert publish_and_count(results) == {"written": 0, "kept": 3, "replaced_or_removed": 0}
    changed = FIT | {"parameters": {"alpha": {"value": 0.4}}}
    (results / "fits" / "tiny" / "hoffmann.json").write_text(json.dumps(changed))
    assert publish_and_count(results) == {"written": 1, "kept": 2, "replaced_or_removed": 1}

    client = MlflowClient(tracking_uri=f"sqlite:///{results / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    spec = run_spec(tokens=128 * 20)
    assert set(runs) == {spec.run_id, run_spec(tokens=128 * 20, seed=1).run_id, "fits of tiny"}
    fits = runs["fits of tiny"]
    assert fits.data.metrics == {"hoffmann.alpha": 0.4, "hoffmann.a": 0.5}
    trained = runs[spec.run_id]
    assert trained.data.params["architecture.d_model"] == "16"
    assert trained.data.tags["study"] == "tiny"
    assert trained.data.tags["status"] == "ok"
    summary = json.loads((results / "runs" / spec.run_id / "summary.json").read_text())
    assert trained.data.metrics["test_loss_nats"] == pytest.approx(summary["evaluations"]["test"]["loss_nats"])
    curve = client.get_metric_history(trained.info.run_id, "train_loss_smoothed_nats")
    assert [point.step for point in curve] == list(range(1, 21))
    assert trained.info.status == "FINISHED"
    assert fits.info.status == "FINISHED"

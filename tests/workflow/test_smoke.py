"""The whole chain on the packaged sample, run for real."""

import json
import sqlite3

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.workflow.conftest import SMOKE, Workflow

pytestmark = pytest.mark.slow

FITS = ("params", "tokens", "compute", "kaplan", "hoffmann", "isoflop")
FIGURES = ("power_laws", "learning_curves", "size_and_data", "isoflop_profiles", "optimal_allocation", "backtest")


def test_every_artifact_is_there(finished: Workflow) -> None:
    results = finished.root / "results"
    assert (results / "report.html").stat().st_size > 100_000
    for name in FIGURES:
        for ending in ("svg", "png", "csv"):
            assert (results / "figures" / "smoke" / f"{name}.{ending}").stat().st_size > 0
    for name in FITS:
        fit = json.loads((results / "fits" / "smoke" / f"{name}.json").read_text())
        assert fit["status"] == "ok" or fit["reason"]["message"]


def test_the_table_has_a_row_per_run_with_sane_losses(finished: Workflow) -> None:
    table = pq.read_table(finished.root / "results" / "tables" / "smoke" / "runs.parquet")
    runs = json.loads((finished.root / "results" / "tables" / "smoke" / "runs.json").read_text())
    assert table["run"].to_pylist() == runs
    losses = np.array(table["test_loss_nats"])
    assert ((losses > 1) & (losses < np.log(512))).all()
    assert table.schema.field("flops_matmul").metadata[b"unit"].startswith(b"FLOP")
    by_size = {(row["n_layer"], row["d_model"]): row for row in table.to_pylist() if row["tokens"] > 150_000}
    assert by_size[2, 24]["test_loss_nats"] < by_size[1, 8]["test_loss_nats"]


def test_mlflow_has_every_run_with_its_curve(finished: Workflow) -> None:
    with sqlite3.connect(finished.root / "results" / "mlflow.db") as database:
        names = {name for (name,) in database.execute("select name from runs where lifecycle_stage = 'active'")}
        points = database.execute("select count(*) from metrics where key = 'train_loss_smoothed_nats'").fetchone()
    runs = json.loads((finished.root / "results" / "tables" / "smoke" / "runs.json").read_text())
    assert names == {*runs, "fits of smoke"}
    assert points[0] > 50 * len(runs)


def test_a_second_run_has_nothing_to_do(finished: Workflow) -> None:
    assert finished.planned() == {}


def test_the_log_lets_a_person_follow_the_training(finished: Workflow) -> None:
    log = (finished.root / "snakemake.log").read_text()
    assert "[training]" in log
    assert "of the work, about" in log


def test_a_second_workflow_on_the_same_results_is_refused(workflow: Workflow) -> None:
    import fcntl

    with (workflow.root / "results" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (workflow.root / "results" / "report.html").unlink()
        result = workflow.snakemake(*SMOKE)
    assert result.returncode != 0
    assert "another workflow is running here" in result.stdout
    assert not (workflow.root / "results" / "report.html").exists()


def test_the_slurm_profile_plans_the_same_study(finished: Workflow) -> None:
    assert finished.planned("--profile", "slurm", *SMOKE) == {}

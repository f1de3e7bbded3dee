"""The smoke study on a real SLURM gives what it gives locally, to the last bit."""

import json
from math import ceil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import QUICK
from tests.workflow.conftest import SMOKE, Workflow, copy_repository, finished

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
TARGETS = ("results/tables/smoke/curves.parquet", "results/fits/smoke/hoffmann.json")
__all__ = ["finished"]  # a fixture


def losses(workflow: Workflow) -> dict[str, object]:
    """Evaluations by run, in full precision."""
    summaries = workflow.root.glob("results/runs/*/summary.json")
    return {path.parent.name: json.loads(path.read_text())["evaluations"] for path in summaries}


def table(workflow: Workflow, name: str) -> list[dict[str, object]]:
    """Rows of a table: ids and losses."""
    read = pq.read_table(workflow.root / "results" / "tables" / "smoke" / f"{name}.parquet")
    compared = [name for name in read.column_names if name == "run" or "loss" in name or "bits" in name]
    rows: list[dict[str, object]] = read.select(compared).to_pylist()
    return rows


def test_the_smoke_study_gives_the_same_tables(finished: Workflow, cluster: Cluster, tmp_path: Path) -> None:
    """And a fit, which is no training job."""
    workflow = copy_repository(tmp_path / "clone")
    result = workflow.snakemake(*QUICK, *TARGETS, "--group-components", "train_seconds=5", *SMOKE)
    assert result.returncode == 0, result.stdout
    assert losses(workflow) == losses(finished)
    assert table(workflow, "runs") == table(finished, "runs")
    assert table(workflow, "curves") == table(finished, "curves")
    jobs = [comment for _, _, comment in cluster.jobs()]
    packs = ceil(len(losses(finished)) / 5)
    assert sum("train_seconds" in comment for comment in jobs) == packs
    assert not any("specify_run" in comment for comment in jobs), "what is light runs where Snakemake runs"

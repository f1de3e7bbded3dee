"""Trunk and cooldowns in the DAG: a longer horizon trains the missing segment and one cooldown, nothing else."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.workflow.conftest import SMOKE, Workflow, copy_repository

pytestmark = pytest.mark.slow

TABLE = "results/tables/smoke/runs.parquet"
STUDY = "config/studies/smoke.yaml"
TRUNK = """grid:
  - shapes: [[1, 8]]
    tokens: [16_000, 64_000]
    vary: {schedule.trunk: [true]}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The smoke configuration with a study of one trunk of two horizons, up to its table."""
    workflow = copy_repository(tmp_path_factory.mktemp("trunk") / "clone")
    study = workflow.root / STUDY
    head, _, tail = study.read_text().partition("grid:\n")
    study.write_text(head + TRUNK + tail[tail.index("fit:\n") :])
    recipe = "training:\n  batch: {coefficient: 512, exponent: 0}\n  schedule: {warmup_tokens: 2048}\n"
    workflow.edit("config/smoke.yaml", "training:\n", recipe)
    run(workflow)
    return workflow


def run(workflow: Workflow) -> str:
    result = workflow.snakemake(TABLE, *SMOKE)
    assert result.returncode == 0, result.stdout
    return result.stdout


def planned(workflow: Workflow) -> dict[str, int]:
    return workflow.planned(TABLE, *SMOKE)


def files(workflow: Workflow, pattern: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in workflow.root.glob(f"results/{pattern}")}


def add_horizon(workflow: Workflow, old: str, new: str) -> dict[Path, int]:
    """Add a horizon, run, and give the files of runs and trunks that were there and are no longer as they were."""
    before = files(workflow, "runs/*/*.*") | files(workflow, "trunks/**/*.*")
    workflow.edit(STUDY, old, new)
    assert planned(workflow)["train"] == 1
    run(workflow)
    after = files(workflow, "runs/*/*.*") | files(workflow, "trunks/**/*.*")
    return {path: time for path, time in before.items() if after.get(path) != time}


def test_horizons_grow_by_segments_and_cooldowns(trained: Workflow) -> None:
    """In one test, because each step builds on the one before: longer, then shorter, then in between."""
    assert planned(trained) == {}
    (spec,) = trained.root.glob("results/trunks/*/spec.json")
    assert sorted(path.name for path in spec.parent.glob("*.json")) == ["12288.json", "51200.json", "spec.json"]

    trained.edit(STUDY, "[16_000, 64_000]", "[16_000, 64_000, 128_000]")
    added = {"specify_run": 1, "subset": 1, "train_trunk": 1, "train": 1, "list_runs": 1, "collect": 1}
    assert planned(trained) == added
    trained.edit(STUDY, "[16_000, 64_000, 128_000]", "[16_000, 64_000]")
    assert not add_horizon(trained, "64_000]", "64_000, 128_000]")
    assert planned(trained) == {}

    changed = add_horizon(trained, "[16_000, 64_000,", "[16_000, 32_000, 64_000,")
    assert {path.name for path in changed if path.parent.name != "51200"} <= {"51200.json"}
    assert not any("runs" in path.parts for path in changed)
    assert planned(trained) == {}

    table = pq.read_table(trained.root / TABLE).to_pylist()
    assert {row["trunk"] for row in table} == {spec.parent.name}
    assert [row["trunk_tokens"] for row in table] == [12288, 25088, 51200, 102400]
    for row in table:
        summary = json.loads((trained.root / "results/runs" / row["run"] / "summary.json").read_text())
        assert summary["started_at_steps"][-1] == row["trunk_tokens"] // 512


def test_a_batch_that_knows_the_horizon_is_refused_with_its_key(tmp_path: Path) -> None:
    workflow = copy_repository(tmp_path)
    workflow.edit(STUDY, "grid:\n", TRUNK)
    result = workflow.snakemake("-n", *SMOKE)
    assert result.returncode != 0
    assert "smoke.yaml: grid.0: batch: rule power with exponent 0.5 depends on the horizon" in result.stdout

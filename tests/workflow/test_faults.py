"""SIGKILL in the middle of training: the same command finishes, to the same bits, and trains nothing twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.workflow.conftest import SMOKE, Workflow

pytestmark = pytest.mark.slow

TABLE = "results/tables/smoke/runs.parquet"


def longest_runs(workflow: Workflow, count: int) -> list[Path]:
    """Folders of the most expensive finished runs."""
    folders = [path.parent for path in workflow.root.glob("results/runs/*/summary.json")]
    return sorted(folders, key=lambda f: json.loads((f / "summary.json").read_text())["wall_s"])[-count:]


def has_checkpoint(run: Path) -> bool:
    return any((run / "checkpoints").glob("*.ckpt"))


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the workflow ended before it could be killed"
        assert time.monotonic() < deadline, "nothing to kill in time"
        time.sleep(0.02)


@pytest.mark.parametrize("whole_group", [True, False], ids=["everything killed", "an orphan trains on"])
def test_a_killed_study_goes_on_to_the_same_bits(finished: Workflow, workflow: Workflow, whole_group: bool) -> None:
    lost = longest_runs(workflow, 3)
    kept = {p: p.stat().st_mtime_ns for p in workflow.root.glob("results/runs/*/summary.json") if p.parent not in lost}
    for folder in lost:
        shutil.rmtree(folder)
    shutil.rmtree(workflow.root / "results" / "tables")

    command = [sys.executable, "-m", "snakemake", "--cores", "2", TABLE, *SMOKE]
    process = subprocess.Popen(command, cwd=workflow.root, stderr=subprocess.DEVNULL, start_new_session=True)

    def is_under_way(folder: Path) -> bool:
        return has_checkpoint(folder) and not (folder / "summary.json").exists()

    wait_for(lambda: any(map(is_under_way, lost)), process)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()

    result = workflow.snakemake(TABLE, *SMOKE)
    assert result.returncode == 0, result.stdout
    starts = [json.loads((folder / "summary.json").read_text())["started_at_steps"] for folder in lost]
    assert all(steps[0] == 0 and steps == sorted(set(steps)) for steps in starts), "trained again from the start"
    if whole_group:
        assert any(len(steps) == 2 for steps in starts)
    for path, before in kept.items():
        assert path.stat().st_mtime_ns == before
    for folder in lost:
        whole = finished.root / folder.relative_to(workflow.root)
        assert losses(folder) == losses(whole)


def test_a_trainer_that_is_asked_to_stop_is_started_again_by_the_same_snakemake(workflow: Workflow) -> None:
    """By the `retries` of profiles/default: no cluster, and no hand."""
    (lost,) = longest_runs(workflow, 1)
    shutil.rmtree(lost)
    shutil.rmtree(workflow.root / "results" / "tables")
    command = [sys.executable, "-m", "snakemake", TABLE, *SMOKE]
    process = subprocess.Popen(command, cwd=workflow.root, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: has_checkpoint(lost) and (lost / "progress.json").exists(), process)
    os.kill(json.loads((lost / "progress.json").read_text())["pid"], signal.SIGTERM)
    assert process.wait(300) == 0
    first, second = json.loads((lost / "summary.json").read_text())["started_at_steps"]
    assert first == 0 < second


def losses(folder: Path) -> object:
    return json.loads((folder / "summary.json").read_text())["evaluations"]


def test_a_diverging_run_is_recorded_and_kept_out_of_the_fits(workflow: Workflow) -> None:
    """Its rule succeeds, and so does the rest of the study; the fit says which run it dropped and why."""
    workflow.edit(
        "config/studies/smoke.yaml",
        "  - shapes: [[2, 24]]\n",
        "  - {shapes: [[1, 8]], tokens: [5_000], vary: {learning_rate.coefficient: [0.2, 1.0e+30],"
        " optimizer.clip_norm: [1.0e+30]}}\n  - shapes: [[2, 24]]\n",
    )
    fit = "results/fits/smoke/hoffmann.json"
    result = workflow.snakemake(TABLE, fit, *SMOKE)
    assert result.returncode == 0, result.stdout
    filters = {f["name"]: f for f in json.loads((workflow.root / fit).read_text())["filters"]}
    assert [d["reason"] for d in filters["status_ok"]["dropped"]] == ["status is diverged"]

"""Each fault of a cluster, injected: the study ends complete without a hand, and loses at most one checkpoint."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.slurm.cluster import Cluster, call, wait_until
from tests.slurm.conftest import ARGUMENTS, LIMIT_S, TABLE, Study, assert_complete, read

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


def finished_at(study: Study) -> dict[str, float]:
    """When the runs that are finished were."""
    return {path.parent.name: read(path)["finished"] for path in study.root.glob("results/runs/*/summary.json")}


def test_a_time_limit_is_retried_with_more(study: Study) -> None:
    process = study.start()
    held = study.hold()
    call("scontrol", "update", f"JobId={held.job}", "TimeLimit=1")
    log = study.finish(process)
    assert f"SLURM-job '{held.job}' failed, SLURM status is: 'TIMEOUT'" in log
    first, second = sorted({int(minutes) for minutes in re.findall(r"rule train:.*?runtime=(\d+)", log, re.DOTALL)})
    assert second == 2 * first
    assert_complete(study, held)


def test_a_cancelled_job_is_submitted_again_and_status_says_why(study: Study) -> None:
    process, before = study.start(), finished_at(study)
    assert len(before) == 3
    held = study.hold()
    call("scancel", held.job)
    wait_until(lambda: "was ended: cancelled" in (said := study.status()) and held.job in said, "status says why")
    log = study.finish(process)
    assert f"SLURM-job '{held.job}' failed, SLURM status is: 'CANCELLED'" in log
    assert_complete(study, held)
    assert before.items() <= finished_at(study).items(), "what was finished is not trained again"


def test_a_preempted_job_is_submitted_again_by_snakemake_alone(study: Study) -> None:
    process = study.start()
    held = study.hold()
    assert "Requeue=0" in call("scontrol", "show", "job", held.job)
    call("sbatch", "--partition=urgent", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=srun sleep 5")
    log = study.finish(process)
    assert f"[slurm] job {held.job} ended as PREEMPTED" in log
    assert_complete(study, held)


def test_a_lost_node(fresh_study: Study, cluster: Cluster) -> None:
    study = fresh_study
    process = study.start()
    held = study.hold()
    node = call("squeue", "--noheader", f"--jobs={held.job}", "--format=%N").strip()
    cluster.lose_node(node)
    try:
        log = study.finish(process)
    finally:
        cluster.start_node(node)
    assert f"SLURM-job '{held.job}' failed" in log
    (job_log,) = study.root.glob(f"results/logs/slurm/*/*/{held.job}.log")
    assert f"[slurm] job {held.job} ended as NODE_FAIL" in job_log.read_text(), "where status finds it"
    assert_complete(study, held)


def test_a_controller_that_restarts_interrupts_nothing(study: Study, cluster: Cluster) -> None:
    process = study.start()
    held = study.hold()
    cluster.stop_controller()
    try:
        asks = ("pgrep", f"--session={process.pid}", "--exact", "squeue|scontrol|sacct")
        wait_until(lambda: call(*asks, check=False) != "", "Snakemake asks in vain")
    finally:
        cluster.start_controller()
    held.go_on()
    study.finish(process)
    assert_complete(study)


def test_an_interrupted_snakemake_cancels_its_jobs_and_goes_on_when_started_again(study: Study) -> None:
    process = study.start()
    held = study.hold()
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_S) != 0
    wait_until(lambda: not call("squeue", "--noheader").strip(), "an empty queue")
    study.finish(study.start())
    assert_complete(study, held)


def test_a_killed_snakemake_started_again_waits_for_its_jobs_and_adopts_what_they_finish(
    study: Study, cluster: Cluster
) -> None:
    """As when the login node was rebooted; also with the lock files that a killed Snakemake leaves behind."""
    process = study.start()
    held = study.hold()
    submitted = {number for number, _, _ in cluster.jobs()}
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    locks = study.root / ".snakemake" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "0.output.lock").write_text(f"{study.root}/{TABLE}\n")

    again = study.start()
    wait_until(lambda: f"an earlier Snakemake submitted from here: {held.job}" in study.log, "the wait")
    time.sleep(2)
    assert {number for number, _, _ in cluster.jobs()} == submitted, "none was submitted beside them"
    assert (held.job, "RUNNING") in [(number, state) for number, state, _ in cluster.jobs()]
    held.go_on()
    log = study.finish(again)
    assert "planning again" in log
    assert f"run={study.long_run.name}" not in log.split("planning again")[1], "adopted, not submitted"
    assert_complete(study)


def test_files_that_appear_late(study: Study) -> None:
    """A shared file system shows a file some seconds after it was written: here it is taken away and put back."""
    summary = study.long_run / "summary.json"
    away = study.long_run / "away.json"

    def hide() -> None:
        wait_until(summary.exists, "a summary", LIMIT_S)
        summary.rename(away)
        time.sleep(8)
        shutil.copy(away, summary)

    process = study.start()
    hider = threading.Thread(target=hide, daemon=True)
    hider.start()
    study.finish(process)
    hider.join()
    assert away.exists()
    assert_complete(study)


def test_a_failing_member_of_a_pack_loses_no_neighbour(fresh_study: Study) -> None:
    """The reason is on the terminal and in the status; neighbours, whose outputs Snakemake removes, are adopted."""
    study = fresh_study
    *neighbours, bad = study.folders[:-1]  # the longest is trained first
    obstacle = bad / "checkpoints"
    obstacle.touch()
    process = study.start("--retries", "0")
    assert process.wait(LIMIT_S) != 0
    words = (study.root / "results" / "logs" / "train" / f"{bad.name}.log").read_text().splitlines()[-1]
    assert obstacle.name in words
    assert words in study.log
    assert "ended as FAILED" in study.log
    assert words in study.status()
    obstacle.unlink()
    trained = [read(next(folder.glob("finished/*/summary.json"))) for folder in neighbours]

    study.finish(study.start())
    assert [read(folder / "summary.json") for folder in neighbours] == trained
    assert_complete(study)


def test_sbatch_missing_is_said_before_anything_is_removed(study: Study, tmp_path: Path) -> None:
    """Else Snakemake removes the outputs of every job that it cannot submit."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in Path("/usr/bin").iterdir():
        if tool.name != "sbatch":
            (tools / tool.name).symlink_to(tool)
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", *ARGUMENTS],
        cwd=study.root,
        env=os.environ | {"PATH": str(tools)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert result.returncode != 0
    assert "no sbatch on PATH" in result.stdout

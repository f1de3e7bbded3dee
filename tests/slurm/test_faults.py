"""Each fault of a cluster, injected: the study ends complete without a hand, and loses at most one checkpoint."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from tests.slurm.cluster import Cluster, call, wait_until
from tests.slurm.conftest import ARGUMENTS, TABLE, Study, read

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


def assert_complete(study: Study, attempts: int) -> None:
    """Every run finished, the long one in so many attempts, each of which went on from where one had saved."""
    assert (study.root / TABLE).exists()
    assert len(study.starts()) == attempts
    for folder in study.folders:
        starts = read(folder / "summary.json")["started_at_steps"]
        assert starts[0] == 0
        assert all(later > earlier for earlier, later in pairwise(starts)), "trained again from the start"


def test_a_time_limit_is_retried_with_more(study: Study, cluster: Cluster) -> None:
    process = study.start("--set-resources", "train:runtime=attempt")
    study.wait_for_checkpoint()
    job = study.job(cluster)
    os.kill(study.trainer(), signal.SIGSTOP)  # takes for ever, at no cost
    log = study.finish(process)
    assert f"SLURM-job '{job}' failed, SLURM status is: 'TIMEOUT'" in log
    assert_complete(study, attempts=2)


def test_a_cancelled_job_is_submitted_again_and_status_says_why(study: Study, cluster: Cluster) -> None:
    process = study.start()
    study.wait_for_checkpoint()
    job = study.job(cluster)
    call("scancel", job)
    wait_until(lambda: "was ended: cancelled" in (status := study_status(study)) and job in status, "status says why")
    log = study.finish(process)
    assert f"SLURM-job '{job}' failed, SLURM status is: 'CANCELLED'" in log
    assert_complete(study, attempts=2)


def study_status(study: Study) -> str:
    return call("scaling-lab", "status", "--results", str(study.root / "results"))


def test_a_preempted_job_is_submitted_again(study: Study, cluster: Cluster) -> None:
    process = study.start()
    study.wait_for_checkpoint()
    job = study.job(cluster)
    call("sbatch", "--partition=urgent", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=srun sleep 5")
    log = study.finish(process)
    assert f"[slurm] job {job} ended as PREEMPTED" in log
    assert_complete(study, attempts=2)


def test_a_lost_node(study: Study, cluster: Cluster) -> None:
    process = study.start()
    study.wait_for_checkpoint()
    job = study.job(cluster)
    node = call("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
    cluster.lose_node(node)
    try:
        log = study.finish(process)
    finally:
        cluster.start_node(node)
    assert f"SLURM-job '{job}' failed" in log
    assert "NODE_FAIL" in log
    assert_complete(study, attempts=2)


def test_a_controller_that_restarts_interrupts_nothing(study: Study, cluster: Cluster) -> None:
    process = study.start()
    study.wait_for_checkpoint()
    cluster.stop_controller()
    time.sleep(8)  # Snakemake asks every 5 seconds
    cluster.start_controller()
    study.finish(process)
    assert_complete(study, attempts=1)


def test_an_interrupted_snakemake_cancels_its_jobs_and_goes_on_when_started_again(
    study: Study, cluster: Cluster
) -> None:
    process = study.start()
    study.wait_for_checkpoint()
    process.send_signal(signal.SIGINT)
    assert process.wait(120) != 0
    wait_until(lambda: not call("squeue", "--noheader").strip(), "an empty queue")
    study.finish(study.start())
    assert_complete(study, attempts=2)


def test_a_killed_snakemake_started_again_waits_for_its_jobs_and_adopts_what_they_finish(
    study: Study, cluster: Cluster
) -> None:
    """Also with the lock files that a killed Snakemake leaves behind."""
    process = study.start()
    study.wait_for_checkpoint()
    trainer, job = study.trainer(), study.job(cluster)
    os.kill(trainer, signal.SIGSTOP)
    submitted = {number for number, _, _ in cluster.jobs()}
    process.kill()
    process.wait()
    locks = study.root / ".snakemake" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "0.output.lock").write_text(f"{study.root}/{TABLE}\n")

    again = study.start()
    wait_until(lambda: "[slurm] waiting for" in (study.root / "snakemake.log").read_text(), "the wait")
    time.sleep(2)
    assert {number for number, _, _ in cluster.jobs()} == submitted, "none was submitted beside them"
    assert (job, "RUNNING") in [(number, state) for number, state, _ in cluster.jobs()]
    os.kill(trainer, signal.SIGCONT)
    log = study.finish(again)
    assert "planning again" in log
    assert f"run={study.long_run.name}" not in log.split("planning again")[1], "adopted, not submitted"
    assert_complete(study, attempts=1)


def test_files_that_appear_late(study: Study, cluster: Cluster) -> None:
    """A shared file system shows a file some seconds after it was written: here it is taken away and put back."""
    summary = study.long_run / "summary.json"
    away = study.long_run / "away.json"

    def hide() -> None:
        wait_until(summary.exists, "a summary", 300)
        summary.rename(away)
        time.sleep(8)
        shutil.copy(away, summary)

    process = study.start()
    hider = threading.Thread(target=hide)
    hider.start()
    study.finish(process)
    hider.join()
    assert away.exists()
    assert_complete(study, attempts=1)


def test_a_failing_member_of_a_pack_loses_no_neighbour(study: Study, cluster: Cluster) -> None:
    """The reason is on the terminal and in the status; neighbours, whose outputs Snakemake removes, are adopted."""
    *neighbours, bad = study.folders[:-1]  # the longest is trained first
    obstacle = bad / "checkpoints"
    obstacle.touch()
    process = study.start("--retries", "1")
    assert process.wait(400) != 0
    log = (study.root / "snakemake.log").read_text()
    words = (study.root / "results" / "logs" / "train" / f"{bad.name}.log").read_text().splitlines()[-1]
    assert obstacle.name in words
    assert words in log
    assert "ended as FAILED" in log
    assert words in study_status(study)
    obstacle.unlink()
    trained = [read(next(folder.glob("finished/*/summary.json"))) for folder in neighbours]

    study.finish(study.start())
    assert [read(folder / "summary.json") for folder in neighbours] == trained
    assert_complete(study, attempts=1)


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

"""SLURM beside Snakemake: what is checked before the first job is submitted, and what its plugin gets wrong.

Only the workflow's main process calls this, and only with the `slurm` executor.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from scaling_lab.errors import ScalingLabError

# States of a job that has ended otherwise than it should.
BAD_ENDS = (
    "BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT",
)  # fmt: skip


def require_slurm() -> None:
    """Stop before Snakemake removes the outputs of jobs that it could not submit.

    Raises:
        ScalingLabError: sbatch or squeue is missing.
    """
    for command in ("sbatch", "squeue", "scancel"):
        if shutil.which(command) is None:
            raise ScalingLabError(f"--profile slurm: no {command} on PATH; run this where jobs are submitted")


def settle_queue(logs: Path, every_s: float = 5) -> bool:
    """End what an earlier Snakemake, which was killed, left in the queue; say whether anything was.

    Jobs are ours if they write to `logs`. Those that wait are cancelled, for they will be submitted again; those that
    run are waited for, so that no job runs twice at the same time and what they finish counts.

    Raises:
        ScalingLabError: squeue fails.
    """
    found = False
    while jobs := _unfinished(logs):
        waiting = [job for job, state in jobs.items() if state == "PENDING"]
        running = [job for job in jobs if job not in waiting]
        if waiting:
            subprocess.run(["scancel", "--state=PENDING", *waiting], check=False)
        if running and not found:
            _say(
                f"waiting for {len(running)} jobs that an earlier Snakemake submitted from here: {' '.join(running)}."
                " What they finish is kept. To end them now, with a checkpoint: scancel and these numbers"
            )
        found = True
        time.sleep(every_s)
    return found


def start_again() -> None:
    """Replace this process by the same command, which sees what has been finished since it made its plan."""
    _say("the queue is settled; planning again")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *sys.argv[1:]])


def correct_plugin(logs: Path) -> None:
    """Correct version 2.8 of snakemake-executor-plugin-slurm, for this process.

    It takes `PREEMPTED` and `CANCELLED by 0` for states of a running job, and waits for ever: here a job that is not
    requeued has ended in both, and is submitted again as any that failed. Of a pack that failed it does not tell the
    state, which is told and noted in `logs` here. And it does not hand `--keep-going` on to the job that runs a pack.
    """
    import snakemake_executor_plugin_slurm as plugin

    query, arguments = plugin.query_job_status, plugin.Executor.additional_general_args
    told: set[str] = set()

    async def query_job_status(command: str, logger: Any) -> tuple[dict[str, str] | None, float | None]:
        states, seconds = await query(command, logger)
        for job, state in (states or {}).items():
            if state.split()[0] in BAD_ENDS and job not in told:
                told.add(job)
                note_end(logs, job, state)
        return states and {job: ended(state) for job, state in states.items()}, seconds

    plugin.query_job_status = query_job_status
    plugin.Executor.additional_general_args = lambda executor: f"{arguments(executor)} --keep-going"


def note_end(logs: Path, job: str, state: str) -> None:
    """Say how a job ended, here and at the end of its log, in which `scaling-lab status` looks."""
    for log in logs.rglob(f"{job}.log"):
        with log.open("a", encoding="utf-8") as file:
            file.write(f"\n[slurm] job {job} ended as {state}\n")
    _say(f"job {job} ended as {state}; in the next attempt its runs go on from their checkpoints")


def ended(state: str) -> str:
    """State as the plugin understands it."""
    return "CANCELLED" if state == "PREEMPTED" or state.startswith("CANCELLED") else state


def _unfinished(logs: Path) -> dict[str, str]:
    """State by id of the jobs in the queue whose standard output lies under `logs`."""
    command = ["squeue", "--me", "--noheader", "--Format=JobID:32,State:32,StdOut:4096"]
    result = subprocess.run(command, text=True, capture_output=True, check=False)
    if result.returncode:
        raise ScalingLabError(f"squeue: {result.stderr.strip()}")
    rows = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    return {job: state for job, state, output in rows if Path(output).is_relative_to(logs.resolve())}


def _say(text: str) -> None:
    print(f"[slurm] {text}", file=sys.stderr, flush=True)

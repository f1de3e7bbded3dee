"""Several nodes for one run: the first process has SLURM start its own command once on each other node of the job.

On every node Lightning then starts the processes of its further devices. NODE_RANK, MASTER_ADDR and MASTER_PORT tell
each where it belongs, as with any launcher of torch: a process that finds NODE_RANK set starts no other node.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from scaling_lab.errors import ConfigError, TrainingError
from scaling_lab.processes import signal_when_parent_dies

# Seconds in which the processes of a run end, once those of one node have.
ENDING_SECONDS = 20

# The checkpoint that all nodes go on from, or nothing: a shared file system may show them different ones.
CHECKPOINT_VARIABLE = "SCALING_LAB_RESUME"

# One task on each node after the first, with all that the job has there. `--overlap`: the step shares with others;
# one that fails, or that is interrupted, ends all.
SRUN = (
    "srun", "--quiet", "--overlap", "--relative=1", "--ntasks-per-node=1", "--mem=0", "--cpu-bind=none", "--mpi=none",
    "--kill-on-bad-exit=1", "--quit-on-interrupt", "--job-name=other_nodes",
)  # fmt: skip
RANKED = ("sh", "-c", 'export NODE_RANK=$((SLURM_PROCID + 1)); exec "$@"', "sh")


def check_nodes(nodes: int) -> None:
    """Raise ConfigError, naming the key, where so many nodes are asked for and this is no SLURM job that has them."""
    if nodes == 1 or "NODE_RANK" in os.environ:
        return
    if not {"SLURM_JOB_ID", "SLURMD_NODENAME"} <= os.environ.keys():
        raise ConfigError(
            f"nodes: {nodes} are asked for, and this is no process of a SLURM job; allowed: 1, or `--profile slurm`"
        )
    allocated = int(_ask("squeue", "--noheader", f"--jobs={os.environ['SLURM_JOB_ID']}", "--format=%D"))
    if allocated != nodes:
        raise ConfigError(
            f"nodes: {nodes} are asked for; SLURM job {os.environ['SLURM_JOB_ID']} has {allocated}, allowed: as many"
        )


@contextmanager
def other_nodes(nodes: int, checkpoint: Path | None) -> Iterator[None]:
    """While this lasts, the same command runs on the other nodes and goes on from `checkpoint`; then all have ended.

    This process ends when one of theirs fails, and theirs when this one ends. A process that was itself started for a
    node or a device starts nothing.
    """
    if nodes == 1 or "NODE_RANK" in os.environ:
        yield
        return
    os.environ["MASTER_ADDR"] = _address_of_this_node()
    os.environ["MASTER_PORT"] = str(_free_port())
    os.environ[CHECKPOINT_VARIABLE] = str(checkpoint or "")
    step = _start(nodes - 1)
    leaving = threading.Event()
    threading.Thread(target=_end_with, args=(step, leaving), daemon=True).start()
    try:
        yield
    finally:
        leaving.set()
        del os.environ[CHECKPOINT_VARIABLE]
        _await_end(step)


def _start(others: int) -> "subprocess.Popen[bytes]":
    """Start this process's command on the `others`. Ctrl-C does not reach srun: all agree on stopping, and save."""
    return subprocess.Popen(
        [*SRUN, f"--nodes={others}", f"--ntasks={others}", *RANKED, sys.executable, *sys.orig_argv[1:]],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(signal_when_parent_dies, signal.SIGINT),  # upon which srun kills its tasks
    )


def _end_with(step: "subprocess.Popen[bytes]", leaving: threading.Event) -> None:
    """End this process where another node's failed: without it, a collective may wait for ever."""
    status = step.wait()
    if status and not leaving.wait(ENDING_SECONDS):
        print(f"scaling-lab: a process on another node failed (srun ended with {status})", file=sys.stderr, flush=True)
        os._exit(TrainingError.exit_code)


def _await_end(step: "subprocess.Popen[bytes]") -> None:
    for _ in range(2):  # the second interruption ends srun without its tasks
        try:
            step.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            step.send_signal(signal.SIGINT)


def _address_of_this_node() -> str:
    """By which SLURM itself reaches it. A node's name need not resolve."""
    node = _ask("scontrol", "--oneliner", "show", "node", os.environ["SLURMD_NODENAME"])
    return next(field for field in node.split() if field.startswith("NodeAddr=")).removeprefix("NodeAddr=")


def _free_port() -> int:
    """One that no process of this node uses, of other jobs neither."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def _ask(*command: str) -> str:
    result = subprocess.run(command, text=True, capture_output=True, check=False)
    if result.returncode:
        raise TrainingError(f"{' '.join(command)}: {result.stderr.strip()}")
    return result.stdout

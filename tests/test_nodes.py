"""Several nodes, of a pretended SLURM: what is refused, what each process is told, and that none outlives another."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scaling_lab.errors import ConfigError
from scaling_lab.nodes import check_nodes, other_nodes
from scaling_lab.processes import is_first_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SLURM, and the death of a parent, are Linux's")

SCRIPT = """\
import os, sys, time
from pathlib import Path
from scaling_lab import nodes
from scaling_lab.processes import is_first_process, signal_when_parent_dies
nodes.ENDING_SECONDS = 1
with nodes.other_nodes(2, Path("5-abc.ckpt")):
    told = [os.environ.get(name) for name in ("NODE_RANK", "MASTER_ADDR", nodes.CHECKPOINT_VARIABLE)]
    mine = Path(sys.argv[1]) / ("first" if is_first_process() else "other")
    mine.write_text(f"{os.getpid()} {os.environ['MASTER_PORT']} {told}")
    first, other = (Path(sys.argv[1]) / name for name in ("first", "other"))
    while not (first.exists() and other.exists()):
        time.sleep(0.01)
    exec(sys.argv[2])
"""
WAIT = "time.sleep(60)"


def start(folder: Path, code: str) -> "subprocess.Popen[str]":
    """A process of two nodes that do `code` once both are there."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen([sys.executable, str(script), str(folder), code], stderr=subprocess.PIPE, text=True)


def told(folder: Path) -> dict[str, list[str]]:
    """By process: its id, the port and what else it was told."""
    return {name: (folder / name).read_text().split(maxsplit=2) for name in ("first", "other")}


def assert_ended(process: int) -> None:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{process}").exists() and "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text():
        assert time.monotonic() < deadline, "it outlived the first"
        time.sleep(0.02)


@pytest.mark.usefixtures("job_of_two_nodes")
def test_the_same_command_runs_on_the_other_node_and_is_waited_for(tmp_path: Path) -> None:
    process = start(tmp_path, "is_first_process() or (time.sleep(0.5), (other.parent / 'done').touch())")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    processes = told(tmp_path)
    assert (tmp_path / "done").exists()
    assert processes["first"][1] == processes["other"][1], "one port"
    assert processes["first"][2] == "[None, '127.0.0.1', '5-abc.ckpt']"
    assert processes["other"][2] == "['1', '127.0.0.1', '5-abc.ckpt']"


@pytest.mark.usefixtures("job_of_two_nodes")
def test_where_another_node_fails_the_first_ends(tmp_path: Path) -> None:
    process = start(tmp_path, f"{WAIT} if is_first_process() else sys.exit(3)")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors == "scaling-lab: a process on another node failed (srun ended with 3)\n"


@pytest.mark.usefixtures("job_of_two_nodes")
def test_where_the_first_fails_the_others_end(tmp_path: Path) -> None:
    process = start(tmp_path, f"sys.exit(4) if is_first_process() else {WAIT}")
    process.communicate(timeout=60)
    assert process.returncode == 4
    assert_ended(int(told(tmp_path)["other"][0]))


@pytest.mark.usefixtures("job_of_two_nodes")
def test_where_the_first_is_killed_the_others_end(tmp_path: Path) -> None:
    process = start(tmp_path, f"os.kill(os.getpid(), {signal.SIGKILL}) if is_first_process() else {WAIT}")
    process.communicate(timeout=60)
    assert_ended(int(told(tmp_path)["other"][0]))


def test_one_node_starts_nothing() -> None:
    with other_nodes(1, None):
        assert "MASTER_PORT" not in os.environ


@pytest.mark.usefixtures("job_of_two_nodes")
def test_nodes_that_the_job_does_not_have_are_refused() -> None:
    check_nodes(2)
    with pytest.raises(ConfigError, match="nodes: 3 are asked for; SLURM job 17 has 2"):
        check_nodes(3)


@pytest.mark.parametrize("variable", ["SLURM_JOB_ID", "SLURMD_NODENAME"])
@pytest.mark.usefixtures("job_of_two_nodes")
def test_nodes_without_slurm_are_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the shell of `salloc`, which is on no node of the job."""
    monkeypatch.delenv(variable)
    with pytest.raises(ConfigError, match="nodes: 2 are asked for, and this is no process of a SLURM job"):
        check_nodes(2)
    check_nodes(1)


@pytest.mark.parametrize(
    ("ranks", "first"),
    [
        ({}, True),
        ({"NODE_RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"NODE_RANK": "1"}, False),
        ({"LOCAL_RANK": "1"}, False),
    ],
)
def test_the_first_process_has_no_rank_but_zero(
    ranks: dict[str, str], first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is first

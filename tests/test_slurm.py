"""What is decided from the answers of SLURM's commands; tests/slurm asks a real one."""

import stat
from pathlib import Path

import pytest

from scaling_lab.errors import ScalingLabError
from scaling_lab.slurm import ended, require_slurm, settle_queue


def command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH but the shell's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    return folder


def test_missing_commands_are_named(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bin_folder))
    with pytest.raises(ScalingLabError, match="no sbatch on PATH"):
        require_slurm()
    for name in ("sbatch", "squeue", "scancel"):
        command(bin_folder, name, "true")
    require_slurm()


def test_jobs_of_a_killed_snakemake_are_cancelled_or_waited_for_and_others_left(
    bin_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = tmp_path / "results" / "logs"
    ours, other = f"{logs}/rule_train/a/%j.log", "/elsewhere/slurm-9.out"
    rows = f"1 RUNNING {ours}\\n2 PENDING {ours}\\n9 PENDING {other}\\n".replace("%", "%%")
    calls = tmp_path / "calls"
    command(bin_folder, "squeue", f"echo >> {calls}; [ $(wc -l < {calls}) -gt 2 ] || printf '{rows}'")
    command(bin_folder, "scancel", f'echo "$@" >> {tmp_path}/cancelled')
    assert settle_queue(logs, every_s=0)
    assert set((tmp_path / "cancelled").read_text().splitlines()) == {"--state=PENDING 2"}
    assert capsys.readouterr().err.count("waiting for 1 jobs") == 1
    assert len(calls.read_text().splitlines()) == 3


def test_an_empty_queue_is_settled(bin_folder: Path, tmp_path: Path) -> None:
    command(bin_folder, "squeue", "true")
    assert not settle_queue(tmp_path)


def test_a_controller_that_does_not_answer_stops_the_start(bin_folder: Path, tmp_path: Path) -> None:
    command(bin_folder, "squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(ScalingLabError, match="Unable to contact"):
        settle_queue(tmp_path)


@pytest.mark.parametrize(
    ("state", "understood"),
    [("PREEMPTED", "CANCELLED"), ("CANCELLED by 0", "CANCELLED"), ("RUNNING", "RUNNING"), ("TIMEOUT", "TIMEOUT")],
)
def test_states_that_the_plugin_misreads(state: str, understood: str) -> None:
    assert ended(state) == understood

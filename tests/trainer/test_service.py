"""The server under users: shared, exact, gone when idle, and clear about every kill."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch
from tests.conftest import run_spec
from tests.trainer.conftest import Service, wait_until

from scaling_lab.spec import RunSpec
from scaling_lab.trainer.address import server_address
from scaling_lab.training.engine import last_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="the server is for Linux")]

LONG = run_spec(tokens=128 * 1600)

# A run that no text here is long enough for.
TOO_LONG = run_spec(tokens=128 * 10**6)


def starts(folder: Path) -> list[int]:
    found: list[int] = json.loads((folder / "summary.json").read_text())["started_at_steps"]
    return found


def assert_same_run(a: Path, b: Path) -> None:
    losses = [json.loads((folder / "summary.json").read_text())["evaluations"] for folder in (a, b)]
    weights = [torch.load(last_checkpoint(folder), weights_only=False)["state_dict"] for folder in (a, b)]
    assert losses[0] == losses[1]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.fixture(scope="module")
def whole(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LONG, trained in the command's own process and never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert service.train(folder, LONG, SCALING_LAB_TRAINER="off") == (0, "")
    return folder


def test_two_commands_at_once_start_one_server_and_train_to_the_bits_of_a_process_of_their_own(
    service: Service, tmp_path: Path, spec: RunSpec
) -> None:
    both = [service.start(tmp_path / name, spec) for name in ("a", "b")]
    assert [process.communicate(timeout=120)[1] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert len(service.servers()) == len(service.sockets()) == 1
    assert service.train(tmp_path / "own", spec, SCALING_LAB_TRAINER="off")[0] == 0
    assert_same_run(tmp_path / "a", tmp_path / "own")
    assert_same_run(tmp_path / "b", tmp_path / "own")


def test_a_failing_run_says_why_on_the_commands_own_standard_error(service: Service, tmp_path: Path) -> None:
    status, errors = service.train(tmp_path, TOO_LONG)
    assert status == 2
    assert f"tokens asks for {TOO_LONG.tokens} tokens" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("victim", ["client", "child", "server"])
def test_what_is_killed_is_said_and_the_next_command_goes_on(
    service: Service, tmp_path: Path, whole: Path, victim: str
) -> None:
    process = service.start(tmp_path, LONG)
    child = service.child_in(tmp_path)
    (server,) = service.servers()
    os.kill({"client": process.pid, "child": child, "server": server}[victim], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    wait_until(lambda: not Path(f"/proc/{child}").exists())
    assert not (tmp_path / "summary.json").exists()
    if victim != "client":
        assert process.returncode == 2
        assert f"process {child}" in errors
        assert "run the same command again: training goes on from the last checkpoint" in errors
        assert ("SIGKILL, most often because memory ran out" in errors) == (victim == "child")
    assert service.train(tmp_path, LONG) == (0, "")
    assert len(starts(tmp_path)) == 2
    assert_same_run(tmp_path, whole)


def test_a_signal_reaches_the_run(service: Service, tmp_path: Path, whole: Path) -> None:
    process = service.start(tmp_path, LONG)
    child = service.child_in(tmp_path)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "SIGTERM: stopped at step" in errors
    wait_until(lambda: not Path(f"/proc/{child}").exists())
    assert not (tmp_path / "summary.json").exists()
    assert service.train(tmp_path, LONG)[0] == 0
    assert_same_run(tmp_path, whole)


def test_edited_code_and_other_threads_get_another_server(service: Service, tmp_path: Path, spec: RunSpec) -> None:
    code = shutil.copytree(Path(__file__).parents[2] / "src", tmp_path / "src")
    known = set(service.sockets())
    assert service.train(tmp_path / "run", spec, PYTHONPATH=str(code))[0] == 0
    first = set(service.sockets()) - known
    engine = code / "scaling_lab" / "training" / "engine.py"
    engine.write_text(engine.read_text().replace("asks for", "edited:"))
    assert "edited:" in service.train(tmp_path / "bad", TOO_LONG, PYTHONPATH=str(code))[1]
    assert len(set(service.sockets()) - known - first) == 1


def test_an_idle_server_leaves_and_cleans_up(tmp_path: Path, service: Service, spec: RunSpec) -> None:
    idle = Service(service.root / "idle", service.dataset)
    idle.root.mkdir()
    assert idle.train(tmp_path, spec, SCALING_LAB_TRAINER_IDLE_SECONDS="0.5")[0] == 0
    wait_until(lambda: not idle.servers())
    assert [path.name for path in idle.root.glob("*/*")] == ["lock"]


def test_a_server_that_cannot_start_is_done_without(service: Service, tmp_path: Path, spec: RunSpec) -> None:
    """Here because its idle time is no number: it ends before it takes the run."""
    broken = Service(service.root / "broken", service.dataset)
    broken.root.mkdir()
    assert broken.train(tmp_path, spec, SCALING_LAB_TRAINER_IDLE_SECONDS="soon") == (0, "")


def test_a_step_of_slurm_trains_by_itself(service: Service, tmp_path: Path, spec: RunSpec) -> None:
    cluster = Service(service.root / "slurm", service.dataset)
    cluster.root.mkdir()
    assert cluster.train(tmp_path, spec, SLURM_JOB_ID="1", SLURM_STEP_ID="0")[0] == 0
    assert not list(cluster.root.glob("scaling-lab-*"))


def test_runs_of_a_slurm_job_share_a_server_that_other_jobs_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = []
    for job in ("1", "1", "2"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        addresses.append(server_address())
    assert addresses[0] == addresses[1] != addresses[2]

import fcntl
import json
from pathlib import Path

import pytest

from scaling_lab.errors import ScalingLabError
from scaling_lab.progress import describe, hold_results_lock, print_status, read_progress, training_tasks, work_done
from scaling_lab.spec import RunSpec, canonical_json
from tests.conftest import run_spec


def write_run(results: Path, spec: RunSpec, **files: str) -> Path:
    folder = results / "runs" / spec.run_id
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(canonical_json(spec))
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text)
    return folder


HALF = json.dumps({"tokens": 6400, "of_tokens": 12800, "train_loss_nats": 4.5, "seconds": 30.0, "pid": 1})


def test_states_of_a_run(tmp_path: Path, spec: RunSpec) -> None:
    (task,) = training_tasks([spec])
    assert read_progress(task, tmp_path).state == "waiting"
    folder = write_run(tmp_path, spec, progress=HALF)
    stopped = read_progress(task, tmp_path)
    assert (stopped.state, stopped.fraction, stopped.seconds_left) == ("stopped", 0.5, 30.0)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read_progress(task, tmp_path).state == "running"
    (folder / "summary.json").write_text('{"status": "ok"}')
    assert read_progress(task, tmp_path).state == "done"
    (folder / "summary.json").write_text('{"status": "diverged"}')
    diverged = read_progress(task, tmp_path)
    assert diverged.state == "diverged"
    assert "1/1 runs (1 diverged), 100% of the work" in describe([diverged], 1, 1, None)


def test_the_line_counts_runs_and_work(tmp_path: Path) -> None:
    specs = [run_spec(seed=seed) for seed in range(4)]
    done, half, *_ = specs
    write_run(tmp_path, done, summary='{"status": "ok"}')
    folder = write_run(tmp_path, half, progress=HALF)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        behind, progress = work_done(training_tasks(specs), tmp_path)
        line = describe(progress, behind, behind / 0.375, 200)
    assert line.startswith("[training] 1/4 runs, 38% of the work, about 3 min of training left | L1d16-D0.0128M-s1 50%")


def test_status_prints_every_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ScalingLabError, match="no runs here"):
        print_status(tmp_path)
    write_run(tmp_path, run_spec(), summary='{"status": "ok"}')
    write_run(tmp_path, run_spec(seed=1), progress=HALF)
    print_status(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["done", "100%"], ["stopped", "50%"]]
    assert "1/2 runs, 75% of the work" in lines[2]
    cost = 2 * run_spec().flops("matmul")
    assert lines[3] == f"[cost] {cost:.3g} training FLOPs (every matrix product)"


def test_a_trunk_is_work_of_its_own_and_counted_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short, long = (run_spec(tokens=128 * steps, schedule__trunk=True) for steps in (50, 100))
    first, second, *cooldowns = training_tasks([short, long])
    assert [(task.start, task.end) for task in (first, second)] == [(0, 5120), (5120, 10240)]
    assert [(task.start, task.end) for task in cooldowns] == [(5120, 6400), (10240, 12800)]
    for spec in (short, long):
        write_run(tmp_path, spec)
    (tmp_path / first.finished).parent.mkdir(parents=True)
    (tmp_path / first.finished).write_text("{}")
    folder = tmp_path / second.folder
    folder.mkdir()
    (folder / "progress.json").write_text(
        json.dumps({"tokens": 7680, "of_tokens": 10240, "train_loss_nats": 4.5, "seconds": 30.0})
    )
    print_status(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:4]] == [
        ["done", "100%"],
        ["stopped", "50%"],
        ["waiting", "0%"],
        ["waiting", "0%"],
    ]
    assert lines[1].split()[2].startswith("trunk-L1d16-D0.0102M-s0-")
    assert "[training] 0/2 runs" in lines[4]
    assert "73% of" in lines[5]  # 0.8 * 12800 + 0.2 * (6400 + 12800) of 19200
    assert read_progress(second, tmp_path).seconds_left == pytest.approx(10.0)


def test_results_have_one_workflow_at_a_time(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ScalingLabError, match="another workflow is running here"):
            hold_results_lock(tmp_path)
    hold_results_lock(tmp_path)

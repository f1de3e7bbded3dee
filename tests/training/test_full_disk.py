"""A disk that fills up, for real: a small tmpfs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.conftest import run_spec

from scaling_lab.spec import RunSpec, canonical_json
from scaling_lab.training.checkpoints import latest_checkpoint
from scaling_lab.training.run import train


def mount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)


def remount(path: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(path)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that a test can fill, and make larger."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    path = tmp_path / "disk"
    path.mkdir()
    try:
        mount(path, "size=20m")
    except subprocess.CalledProcessError:
        pytest.skip("this machine does not let root mount a tmpfs")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def checkpoint_of(run: Path) -> Path:
    found = latest_checkpoint(run / "checkpoints")
    assert found is not None
    return found


def command_line(spec: RunSpec, folder: Path, dataset: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    (folder / "spec.json").write_text(canonical_json(spec))
    command = [sys.executable, "-m", "scaling_lab", "train", str(folder / "spec.json"), "--checkpoint-seconds", "0"]
    command += ["--dataset", str(dataset / "manifest.json")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_full_disk_is_one_message_and_keeps_the_last_checkpoint(
    dataset: Path, tmp_path: Path, small_disk: Path
) -> None:
    spec = run_spec()
    train(spec, dataset, tmp_path / "whole", threads=1)
    one = checkpoint_of(tmp_path / "whole").stat().st_size
    remount(small_disk, f"{1.5 * one / 1024:.0f}k")  # one checkpoint fits, a second beside it does not
    result = command_line(spec, small_disk / "run", dataset)
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1].startswith("scaling-lab: the disk is full; free some space")
    assert "Traceback" not in result.stderr
    assert 0 < torch.load(checkpoint_of(small_disk / "run"), weights_only=False)["global_step"] < spec.steps

    remount(small_disk, "20m")
    assert command_line(spec, small_disk / "run", dataset).returncode == 0
    found, expected = (
        json.loads((folder / "summary.json").read_text())["evaluations"]
        for folder in (small_disk / "run", tmp_path / "whole")
    )
    assert found == expected

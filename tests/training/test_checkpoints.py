"""Damaged checkpoints: refused by name, and the one before is used."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import run_spec
from tests.training.test_run import assert_same_bits

from scaling_lab.training.checkpoints import latest_checkpoint, save_checkpoint
from scaling_lab.training.run import train


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    os.truncate(path, 0)


DAMAGE = [truncate, flip_a_bit, empty]


def save(folder: Path, step: int) -> Path:
    return save_checkpoint(folder, step, lambda path: path.write_text(f"state of step {step}") and None)


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    paths = [save(tmp_path, step) for step in (5, 9, 10, 1000)]
    assert sorted(tmp_path.iterdir()) == paths[-2:]
    assert latest_checkpoint(tmp_path) == paths[-1]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_named_and_the_one_before_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    before, last = save(tmp_path, 1), save(tmp_path, 2)
    damage(last)
    assert latest_checkpoint(tmp_path) == before
    assert f"{last}: checkpoint is damaged" in capsys.readouterr().err
    damage(before)
    assert latest_checkpoint(tmp_path) is None


def test_a_damaged_one_does_not_push_out_a_whole_one(tmp_path: Path) -> None:
    first, damaged = save(tmp_path, 1), save(tmp_path, 3)
    truncate(damaged)
    second = save(tmp_path, 2)  # training went on from the first
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    def disk_is_full(path: Path) -> None:
        path.write_text("half of")
        raise OSError("No space left on device")

    kept = [save(tmp_path, 1), save(tmp_path, 2)]
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, 3, disk_is_full)
    assert sorted(tmp_path.iterdir()) == kept


def test_no_checkpoint_where_there_is_no_folder(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "none") is None


@pytest.mark.parametrize("damage", DAMAGE)
def test_training_goes_on_from_the_one_before_to_the_same_bits(
    dataset: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    spec = run_spec(tokens=128 * 40)
    for name in ("whole", "damaged"):
        train(spec, dataset, tmp_path / name, threads=1, checkpoint_tokens=128 * 12)
    last = latest_checkpoint(tmp_path / "damaged" / "checkpoints")
    assert last is not None
    damage(last)
    train(spec, dataset, tmp_path / "damaged", threads=1)
    assert json.loads((tmp_path / "damaged" / "summary.json").read_text())["started_at_steps"] == [0, 36]
    assert_same_bits(tmp_path / "whole", tmp_path / "damaged")

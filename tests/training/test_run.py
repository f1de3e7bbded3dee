import fcntl
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tests.conftest import run_spec

from scaling_lab.errors import TrainingError
from scaling_lab.science.positions import position_bins
from scaling_lab.spec import RunSpec, canonical_json
from scaling_lab.training.checkpoints import latest_checkpoint
from scaling_lab.training.curves import WALL_CLOCK
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.run import train


def results(folder: Path) -> tuple[dict[str, object], list[dict[str, object]], dict[str, torch.Tensor]]:
    """Losses, curve without the clock, and final weights of a run."""
    summary = json.loads((folder / "summary.json").read_text())
    curve = pq.read_table(folder / "metrics.parquet").drop_columns(WALL_CLOCK).to_pylist()
    checkpoint = latest_checkpoint(folder / "checkpoints")
    assert checkpoint is not None
    weights = torch.load(checkpoint, weights_only=False)["state_dict"]
    return summary["evaluations"], curve, weights


def assert_same_bits(a: Path, b: Path) -> None:
    (losses_a, curve_a, weights_a), (losses_b, curve_b, weights_b) = results(a), results(b)
    assert losses_a == losses_b
    assert curve_a == curve_b
    assert all(torch.equal(weights_a[name], weights_b[name]) for name in weights_a)


def test_a_run_learns_and_says_what_it_did(dataset: Path, tmp_path: Path, spec: RunSpec) -> None:
    train(spec, dataset, tmp_path, threads=1)
    losses, curve, _ = results(tmp_path)
    uniform = math.log(257)
    assert set(losses) == {"validation", "test"}
    test = losses["test"]
    assert isinstance(test, dict)
    assert test["loss_nats"] < uniform - 1.5
    assert test["loss_nats"] == pytest.approx(sum(test["loss_by_position_nats"]) / 32)
    # One byte is one token here, apart from the end of each document.
    assert test["bits_per_byte"] == pytest.approx(test["loss_nats"] / math.log(2), rel=0.01)
    assert curve[-1]["step"] == spec.steps
    assert curve[-1]["tokens"] == spec.tokens
    evaluated = [row for row in curve if row["validation_loss_nats"] is not None]
    assert [row["step"] for row in evaluated] == [50, 100]
    for row in evaluated:
        along = np.array(row["validation_loss_by_position_nats"])
        lengths = [last - first + 1 for first, last in position_bins(spec.architecture.context)]
        assert np.average(along, weights=lengths) == pytest.approx(row["validation_loss_nats"])
        assert along[0] > along[-1]
    assert all(row["validation_loss_by_position_nats"] is None for row in curve if row not in evaluated)
    assert json.loads((tmp_path / "progress.json").read_text())["of_tokens"] == spec.tokens


def test_the_same_seed_gives_the_same_bits_and_another_does_not(dataset: Path, tmp_path: Path) -> None:
    spec = run_spec(tokens=128 * 40, architecture__dropout=0.1)
    for name in ("a", "b"):
        train(spec, dataset, tmp_path / name, threads=1)
    train(run_spec(tokens=128 * 40, architecture__dropout=0.1, seed=1), dataset, tmp_path / "c", threads=1)
    assert_same_bits(tmp_path / "a", tmp_path / "b")
    assert results(tmp_path / "a")[0] != results(tmp_path / "c")[0]


class MachineGoneError(Exception):
    """Stands for the machine going away."""


@pytest.mark.parametrize("at", [16, 50, 96])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    spec = run_spec(architecture__dropout=0.1)
    train(spec, dataset, tmp_path / "whole", threads=1)
    original = LanguageModel.training_step

    def stop(self: LanguageModel, chunk: torch.Tensor, batch_idx: int) -> None:
        if self.global_step >= at:
            raise MachineGoneError
        original(self, chunk, batch_idx)

    monkeypatch.setattr(LanguageModel, "training_step", stop)
    with pytest.raises(MachineGoneError):
        train(spec, dataset, tmp_path / "cut", threads=1, checkpoint_seconds=0)
    monkeypatch.undo()
    train(spec, dataset, tmp_path / "cut", threads=1)
    assert json.loads((tmp_path / "cut" / "summary.json").read_text())["started_at_steps"] == [0, at]
    assert_same_bits(tmp_path / "whole", tmp_path / "cut")


def test_a_finished_run_whose_outputs_were_lost_is_not_trained_again(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: RunSpec
) -> None:
    train(spec, dataset, tmp_path, threads=1)
    before = results(tmp_path)
    (tmp_path / "summary.json").unlink()
    (tmp_path / "metrics.parquet").unlink()
    monkeypatch.setattr(LanguageModel, "training_step", lambda *_: pytest.fail("trained again"))
    train(spec, dataset, tmp_path, threads=1)
    assert results(tmp_path)[:2] == before[:2]


def test_a_second_process_on_the_same_run_waits_and_adopts(dataset: Path, tmp_path: Path, spec: RunSpec) -> None:
    (tmp_path / "spec.json").write_text(canonical_json(spec))
    manifest = str(dataset / "manifest.json")
    command = [sys.executable, "-m", "scaling_lab", "train", str(tmp_path / "spec.json"), "--dataset", manifest]
    with (tmp_path / ".lock").open("w") as lock:  # both start while a third holds the run
        fcntl.flock(lock, fcntl.LOCK_EX)
        both = [subprocess.Popen(command) for _ in range(2)]
        with pytest.raises(subprocess.TimeoutExpired):
            both[0].wait(timeout=15)
        assert not (tmp_path / "checkpoints").exists()
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert json.loads((tmp_path / "summary.json").read_text())["started_at_steps"] == [0]


def test_a_run_that_diverges_is_recorded_up_to_there_and_not_measured(dataset: Path, tmp_path: Path) -> None:
    spec = run_spec(optimizer__learning_rate=1e30, optimizer__clip_norm=1e30)
    train(spec, dataset, tmp_path, threads=1)
    summary = json.loads((tmp_path / "summary.json").read_text())
    curve = pq.read_table(tmp_path / "metrics.parquet").to_pylist()
    assert summary["status"] == "diverged"
    assert summary["evaluations"] == {}
    assert 1 < summary["steps"] < spec.steps
    assert summary["diverged_at_tokens"] == summary["tokens"] == 128 * summary["steps"] == curve[-1]["tokens"]
    assert curve[0]["train_loss_nats"] == pytest.approx(math.log(257), abs=1)
    assert curve[-1]["train_loss_nats"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture__vocab_size": 300}, "vocab_size is 300, but sample-bytes has 257"),
        ({"tokens": 128 * 10**6}, r"tokens asks for 128000000 tokens, sample-bytes has \d+ to train on"),
    ],
)
def test_a_store_that_does_not_fit_the_spec_is_refused(
    dataset: Path, tmp_path: Path, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        train(run_spec(**changes), dataset, tmp_path, threads=1)

"""Early stopping: pure rules, and a run that overfits a little text."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tests.conftest import run_spec
from tests.training.test_run import assert_same_bits

from scaling_lab.corpus.store import TokenStore
from scaling_lab.spec import RunSpec
from scaling_lab.training.checkpoints import latest_checkpoint
from scaling_lab.training.data import evaluation_windows
from scaling_lab.training.evaluation import loss_by_position
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.run import train
from scaling_lab.training.stopping import best_step, is_over, stopping_steps

OVERFITS = {
    "architecture__d_model": 32,
    "tokens": 128 * 400,
    "unique_tokens": 128 * 5,
    "stopping": {"every_tokens": 128 * 20, "patience": 3},
}


def test_evaluations_lie_evenly_and_at_the_end(spec: RunSpec) -> None:
    stopping = run_spec(stopping={"every_tokens": 128 * 30, "patience": 1})
    assert stopping_steps(stopping).tolist() == [30, 60, 90, 100]
    assert stopping_steps(spec).tolist() == []


def test_patience_counts_evaluations_behind_the_best() -> None:
    spec = run_spec(stopping={"every_tokens": 128 * 10, "patience": 2})
    assert best_step({10: 3.0, 20: 2.0, 30: 2.0}) == 20
    assert not is_over(spec, {10: 3.0, 20: 2.0, 30: 2.5})
    assert is_over(spec, {10: 3.0, 20: 2.0, 30: 2.5, 40: 2.0})
    assert not is_over(run_spec(), {10: 3.0, 20: 4.0, 100: 5.0})


def test_a_run_that_overfits_stops_and_is_measured_at_its_best(dataset: Path, tmp_path: Path) -> None:
    spec = run_spec(**OVERFITS)
    train(spec, dataset, tmp_path, threads=1)
    summary = json.loads((tmp_path / "summary.json").read_text())
    curve = pq.read_table(tmp_path / "metrics.parquet").to_pylist()
    validation = {row["tokens"]: row["validation_loss_nats"] for row in curve if row["validation_loss_nats"]}
    assert summary["best_tokens"] == min(validation, key=lambda tokens: validation[tokens])
    assert summary["stopped_at_tokens"] == summary["tokens"] == summary["best_tokens"] + 3 * 128 * 20 < spec.tokens
    assert curve[-1]["tokens"] == summary["tokens"]
    assert validation[summary["tokens"]] > 1.02 * validation[summary["best_tokens"]]
    assert summary["evaluations"]["validation"]["loss_nats"] == validation[summary["best_tokens"]]
    assert summary["status"] == "ok"


def test_the_final_weights_are_others_than_those_measured(dataset: Path, tmp_path: Path) -> None:
    spec = run_spec(**OVERFITS)
    train(spec, dataset, tmp_path, threads=1)
    checkpoint = latest_checkpoint(tmp_path / "checkpoints")
    assert checkpoint is not None
    module = LanguageModel(spec)
    module.load_state_dict(torch.load(checkpoint, weights_only=False)["state_dict"])
    windows = evaluation_windows(TokenStore(dataset / "manifest.json"), "validation", spec)
    last = loss_by_position(module.model, windows).mean().item()
    measured = json.loads((tmp_path / "summary.json").read_text())["evaluations"]["validation"]["loss_nats"]
    assert last > 1.02 * measured


def test_a_stopped_run_whose_outputs_were_lost_is_not_trained_again(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = run_spec(**OVERFITS)
    for name in ("whole", "lost"):
        train(spec, dataset, tmp_path / name, threads=1)
    (tmp_path / "lost" / "summary.json").unlink()
    monkeypatch.setattr(LanguageModel, "training_step", lambda *_: pytest.fail("trained again"))
    train(spec, dataset, tmp_path / "lost", threads=1)
    assert_same_bits(tmp_path / "whole", tmp_path / "lost")


def test_a_run_that_keeps_improving_reaches_its_horizon(dataset: Path, tmp_path: Path) -> None:
    spec = run_spec(tokens=128 * 60, stopping={"every_tokens": 128 * 20, "patience": 1})
    train(spec, dataset, tmp_path, threads=1)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["stopped_at_tokens"], summary["best_tokens"], summary["tokens"]) == (None, 7680, 7680)

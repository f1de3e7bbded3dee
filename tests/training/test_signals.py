"""Signals that ask a run to stop: a checkpoint at once, in the middle of a chunk, and the same bits afterwards."""

import os
import signal
from pathlib import Path

import pytest
import torch
from tests.conftest import run_spec
from tests.training.test_run import assert_same_bits, results

from scaling_lab.errors import InterruptedTrainingError
from scaling_lab.training.engine import CHUNK_STEPS
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.run import train
from scaling_lab.training.signals import STOPPING, stop_request

AT = 21  # in the middle of the second chunk


@pytest.fixture(scope="module")
def whole(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(run_spec(tokens=128 * 40, architecture__dropout=0.1, micro_batches=2), dataset, folder, threads=1)
    return folder


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
def test_a_signal_saves_at_the_end_of_the_step_and_the_run_goes_on_from_it(
    dataset: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    spec = run_spec(tokens=128 * 40, architecture__dropout=0.1, micro_batches=2)
    before = signal.getsignal(number)
    step_of = LanguageModel._optimizer_step

    def interrupted(self: LanguageModel, windows: torch.Tensor, step: int) -> object:
        if step + 1 == AT:
            os.kill(os.getpid(), number)
        return step_of(self, windows, step)

    monkeypatch.setattr(LanguageModel, "_optimizer_step", interrupted)
    with pytest.raises(InterruptedTrainingError, match=f"{number.name}: stopped at step {AT} with a checkpoint"):
        train(spec, dataset, tmp_path, threads=1)
    assert AT % CHUNK_STEPS
    assert signal.getsignal(number) == before
    monkeypatch.undo()
    train(spec, dataset, tmp_path, threads=1)
    assert_same_bits(whole, tmp_path)


def test_a_signal_in_the_final_evaluation_leaves_the_last_checkpoint(
    dataset: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = run_spec(tokens=128 * 40, architecture__dropout=0.1, micro_batches=2)
    step_of = LanguageModel._optimizer_step

    def at_the_last_step(self: LanguageModel, windows: torch.Tensor, step: int) -> object:
        if step + 1 == spec.steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return step_of(self, windows, step)

    monkeypatch.setattr(LanguageModel, "_optimizer_step", at_the_last_step)
    with pytest.raises(InterruptedTrainingError, match="SIGTERM: stopped in the final evaluation, with a checkpoint"):
        train(spec, dataset, tmp_path, threads=1)
    monkeypatch.setattr(LanguageModel, "_optimizer_step", lambda *_: pytest.fail("trained again"))
    train(spec, dataset, tmp_path, threads=1)
    assert results(tmp_path)[:2] == results(whole)[:2]


def test_a_second_interrupt_does_not_wait() -> None:
    with stop_request() as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert request.name == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

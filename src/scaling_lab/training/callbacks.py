"""Callbacks: keep checkpoints, stop for a signal, tell how far the run is."""

import json
import os
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from scaling_lab.files import write_text
from scaling_lab.training.checkpoints import save_checkpoint
from scaling_lab.training.recorder import Recorder
from scaling_lab.training.signals import StopRequest


class Checkpointer(pl.Callback):
    """Saves every `interval_s` seconds, at the given steps, at the end of the run and when it is asked to stop.

    Raises:
        InterruptedTrainingError: after the checkpoint that a signal asked for.
    """

    def __init__(
        self, folder: Path, recorder: Recorder, request: StopRequest, interval_s: float, steps: set[int]
    ) -> None:
        self.folder, self.recorder, self.request = folder, recorder, request
        self.interval_s, self.steps = interval_s, steps
        self._saved_at = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.request.handle()  # Lightning's own handler of SIGTERM, just put there, would end the run without saving

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        agree = trainer.strategy.reduce_boolean_decision  # a signal, or the clock, of one device is that of all
        stop = agree(bool(self.request), all=False)
        due = agree(time.monotonic() - self._saved_at >= self.interval_s, all=False)
        history = self.recorder.history
        if history.diverged_at is not None:
            return  # the steps since the last checkpoint lead here again
        if stop or due or history.ended or trainer.global_step in self.steps:
            self._save(trainer)
        if stop and not (history.ended or trainer.global_step == trainer.max_steps):
            self.request.name = self.request.name or "a signal to another process"
            self.request.raise_if_set(f"stopped at step {trainer.global_step} with a checkpoint")

    def _save(self, trainer: pl.Trainer) -> None:
        if trainer.is_global_zero:
            save_checkpoint(self.folder, trainer.global_step, trainer.save_checkpoint)
        else:
            trainer.save_checkpoint(self.folder)  # takes part in gathering; writes nothing
        trainer.strategy.barrier()  # no process leaves before the file has its name
        self._saved_at = time.monotonic()


class Progress(pl.Callback):
    """Writes progress.json at most once a second: what `scaling-lab status` and the workflow's progress line read."""

    def __init__(self, path: Path, recorder: Recorder) -> None:
        self.path, self.recorder = path, recorder
        self._written = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if time.monotonic() - self._written < 1 or not trainer.is_global_zero:
            return
        history, spec = self.recorder.history, self.recorder.spec
        state = {
            "tokens": history.steps * spec.batch_tokens,
            "of_tokens": spec.tokens,
            "train_loss_nats": history.smoothed(history.steps),
            "seconds": history.seconds,
            "pid": os.getpid(),
        }
        write_text(self.path, json.dumps(state))
        self._written = time.monotonic()

"""Callbacks: record the history, evaluate at the marks, keep a checkpoint, tell how far the run is."""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from scaling_lab.files import write_text
from scaling_lab.training.curves import History
from scaling_lab.training.evaluation import loss_by_position
from scaling_lab.training.module import LanguageModel


class Recorder(pl.Callback):
    """Keeps the `History` of the run, through interruptions, and evaluates validation at the given steps."""

    def __init__(self, validation_windows: Tensor, evaluation_steps: set[int]) -> None:
        self.history = History()
        self.windows, self.evaluation_steps = validation_windows, evaluation_steps
        self._before = 0.0
        self._start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before, self._start = self.history.seconds, time.monotonic()
        self.history.starts.append(trainer.global_step)
        self._evaluate(trainer, pl_module)  # where the run leaves its trunk

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, LanguageModel)
        self.history.losses += pl_module.losses.tolist()
        self.history.gradient_norms += pl_module.gradient_norms.tolist()
        self.history.clock[trainer.global_step] = self._before + time.monotonic() - self._start
        self._evaluate(trainer, pl_module)

    def _evaluate(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, LanguageModel)
        step = trainer.global_step
        if step in self.evaluation_steps and step not in self.history.validation:
            self.history.validation[step] = loss_by_position(pl_module.model, self.windows).mean().item()

    def state_dict(self) -> dict[str, Any]:
        return asdict(self.history)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = History(**state_dict)


class AtomicCheckpoint(pl.Callback):
    """Writes the checkpoint every `interval_s` seconds and at the last step; a kill leaves the one before intact."""

    def __init__(self, path: Path, interval_s: float, last_step: int) -> None:
        self.path, self.interval_s, self.last_step = path, interval_s, last_step
        self._saved = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        due = time.monotonic() - self._saved >= self.interval_s
        if due or trainer.global_step == self.last_step:
            self._save(trainer)
            self._saved = time.monotonic()

    def _save(self, trainer: pl.Trainer) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(self.path)


class Progress(pl.Callback):
    """Writes progress.json at most once a second: what `scaling-lab status` and the workflow's progress line read."""

    def __init__(self, path: Path, recorder: Recorder) -> None:
        self.path, self.recorder = path, recorder
        self._written = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if time.monotonic() - self._written < 1:
            return
        assert isinstance(pl_module, LanguageModel)
        history, spec = self.recorder.history, pl_module.spec
        state = {
            "tokens": trainer.global_step * spec.batch_tokens,
            "of_tokens": spec.tokens,
            "train_loss_nats": history.smoothed(trainer.global_step),
            "seconds": history.seconds,
            "pid": os.getpid(),
        }
        write_text(self.path, json.dumps(state))
        self._written = time.monotonic()

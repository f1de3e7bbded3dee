"""The callback that keeps the history of a run, evaluates validation, and ends a run that diverged or has enough."""

import time
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from scaling_lab.science.positions import binned, position_bins
from scaling_lab.spec import RunSpec
from scaling_lab.training.device import peak_memory_bytes
from scaling_lab.training.divergence import DivergenceWatch
from scaling_lab.training.evaluation import loss_by_position
from scaling_lab.training.history import History
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.stopping import best_step, is_over


class Recorder(pl.Callback):
    """Keeps the `History`, through interruptions; evaluates validation at the given steps; keeps the best weights.

    The best weights are kept for a spec that stops early, and are None for any other.
    """

    def __init__(self, spec: RunSpec, validation_windows: Tensor, evaluation_steps: set[int]) -> None:
        self.spec, self.windows, self.evaluation_steps = spec, validation_windows, evaluation_steps
        self.history = History()
        self.best_weights: dict[str, Tensor] | None = None
        self._watch = DivergenceWatch()
        self._before = 0.0
        self._start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = self.history.ended
        self._before, self._start = self.history.seconds, time.monotonic()
        if not self.history.ended:
            self.history.starts.append(trainer.global_step)
            self._evaluate(pl_module, trainer.global_step)  # where the run leaves its trunk

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, LanguageModel)
        self._record(trainer, pl_module)
        self._evaluate(pl_module, trainer.global_step)
        trainer.should_stop = self.history.ended

    def _record(self, trainer: pl.Trainer, module: LanguageModel) -> None:
        losses, norms, squares = module.statistics
        losses = trainer.strategy.reduce(losses, reduce_op="mean")  # over devices
        values = torch.stack([losses, norms, squares]).tolist()
        diverged = self._watch.first_divergence(values[0])
        self.history.add(self.spec, *(column[:diverged] for column in values))
        self.history.clock[self.history.steps] = self._before + time.monotonic() - self._start
        self.history.memory[self.history.steps] = peak_memory_bytes(module.device)
        if diverged is not None:
            self.history.diverged_at = self.history.steps

    def _evaluate(self, module: pl.LightningModule, step: int) -> None:
        assert isinstance(module, LanguageModel)
        validation = self.history.validation
        if step not in self.evaluation_steps or step in validation or self.history.diverged_at is not None:
            return
        losses_T = loss_by_position(module.model, self.windows)
        validation[step] = losses_T.mean().item()
        self.history.by_position[step] = binned(losses_T.numpy(), position_bins(len(losses_T))).tolist()
        if self.spec.stopping is None:
            return
        if best_step(validation) == step:
            self.best_weights = {name: w.detach().cpu().clone() for name, w in module.model.state_dict().items()}
        if is_over(self.spec, validation) and step < self.spec.steps:
            self.history.stopped_at = step

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history.as_state(), "best_weights": self.best_weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = History.from_state(state_dict["history"])
        self.best_weights = state_dict["best_weights"]
        self._watch.first_divergence(self.history.losses)

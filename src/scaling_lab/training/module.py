"""The LightningModule: loss, optimizer and schedule of one run."""

from collections.abc import Callable
from typing import NamedTuple, cast

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule

from scaling_lab.spec import RunSpec
from scaling_lab.training.distributed import shard
from scaling_lab.training.gradients import accumulate, shares, whole
from scaling_lab.training.models import build_model
from scaling_lab.training.optimizer import build_optimizer, set_learning_rate
from scaling_lab.training.schedule import learning_rate


class StepStatistics(NamedTuple):
    """One value for each optimizer step of a chunk, float32 of shape (steps,)."""

    losses: Tensor
    """Mean loss in nats per token; under DDP and FSDP of this process's share of the batch."""
    gradient_norms: Tensor
    """Of the whole batch, before clipping."""
    micro_squares: Tensor
    """Mean squared gradient norm of the micro-batches; NaN for one."""


class LanguageModel(pl.LightningModule):
    """Next-token training of a `RunSpec`. One training_step runs the optimizer steps of a whole chunk.

    After a chunk, `statistics` holds its values. `stop_requested` is asked after every step: a chunk ends early for it.
    """

    statistics: StepStatistics

    def __init__(self, spec: RunSpec, stop_requested: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self.spec, self.stop_requested = spec, stop_requested
        self.model = build_model(spec.architecture)
        self.automatic_optimization = False

    def configure_model(self) -> None:
        if self.device_mesh is not None and not isinstance(self.model, FSDPModule):
            shard(self.model, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return build_optimizer(self.model, self.spec.optimizer)

    def on_train_start(self) -> None:
        # Not in Lightning's wrapper, whose hooks do nothing here and cost the smallest models several per cent.
        self.optimizer = cast(torch.optim.Optimizer, self.optimizers(use_pl_optimizer=False))
        # Those of the module are other tensors while FSDP has gathered them, as it leaves them after an evaluation.
        self.trained = [p for group in self.optimizer.param_groups for p in group["params"]]

    def training_step(self, chunk_SBT: Tensor, batch_idx: int) -> None:
        results = []
        for step, windows_BT in enumerate(chunk_SBT, self.global_step):
            results.append(self._optimizer_step(windows_BT, step))
            if self.stop_requested():
                break
        self.statistics = StepStatistics(*(torch.stack(values) for values in zip(*results, strict=True)))

    def _optimizer_step(self, windows_BT: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        set_learning_rate(self.optimizer, learning_rate(self.spec, step * self.spec.batch_tokens))
        rank = self.global_rank
        if self.spec.architecture.dropout:  # a function of the step, so that resuming is exact
            torch.manual_seed((rank << 56) + (self.spec.seed << 32) + step)
        parts = shares(windows_BT, self.spec.micro_batches, self.trainer.world_size)[:, rank]
        loss, square = accumulate(list(parts), self._loss, self._backward, self.trained)
        norm = whole(torch.nn.utils.clip_grad_norm_(self.trained, self.spec.optimizer.clip_norm))
        self.optimizer.step()
        self.optimizer.zero_grad()
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress  # counts `global_step`
        progress.increment_ready()
        progress.increment_completed()
        return loss, norm.detach(), square

    def _backward(self, loss: Tensor) -> None:
        if self.trainer.world_size > 1:
            self.manual_backward(loss)
        else:  # the hooks that Lightning calls around it do nothing here, for 1 % of the time of the smallest models
            loss.backward()  # type: ignore[no-untyped-call]

    def _loss(self, windows_BT: Tensor) -> Tensor:
        loss: Tensor = self.model(windows_BT[:, :-1], windows_BT[:, 1:])
        return loss

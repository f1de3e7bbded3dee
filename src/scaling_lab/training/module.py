"""The LightningModule: loss, optimizer and schedule of one run."""

from collections.abc import Callable
from typing import Any, NamedTuple

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

    def training_step(self, chunk_SBT: Tensor, batch_idx: int) -> None:
        first = self.global_step
        results = []
        for index, windows_BT in enumerate(chunk_SBT):
            results.append(self._optimizer_step(windows_BT, first + index))
            if self.stop_requested():
                break
        self.statistics = StepStatistics(*(torch.stack(values) for values in zip(*results, strict=True)))

    def _optimizer_step(self, windows_BT: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        optimizer: Any = self.optimizers()
        set_learning_rate(optimizer, learning_rate(self.spec, step * self.spec.batch_tokens))
        # Those of the module are other tensors while FSDP has gathered them, as it leaves them after an evaluation.
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        rank, devices = self.global_rank, self.trainer.world_size
        if self.spec.architecture.dropout:  # a function of the step, so that resuming is exact
            torch.manual_seed((rank << 56) + (self.spec.seed << 32) + step)
        parts = shares(windows_BT, self.spec.micro_batches, devices)[:, rank]
        loss, square = accumulate(list(parts), self._loss, self.manual_backward, parameters)
        norm = whole(torch.nn.utils.clip_grad_norm_(parameters, self.spec.optimizer.clip_norm))
        optimizer.step()
        optimizer.zero_grad()
        return loss, norm.detach(), square

    def _loss(self, windows_BT: Tensor) -> Tensor:
        loss: Tensor = self.model(windows_BT[:, :-1], windows_BT[:, 1:])
        return loss

"""The LightningModule: loss, optimizer and schedule of one run."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from scaling_lab.errors import TrainingError
from scaling_lab.spec import RunSpec
from scaling_lab.training.models import build_model
from scaling_lab.training.optimizer import build_optimizer, set_learning_rate
from scaling_lab.training.schedule import learning_rate


class LanguageModel(pl.LightningModule):
    """Next-token training of a `RunSpec`. One training_step runs the optimizer steps of a whole chunk.

    After a chunk, `losses` and `gradient_norms` hold its values, one per optimizer step, in nats per token.
    """

    losses: Tensor
    gradient_norms: Tensor
    _weights: list[torch.nn.Parameter]

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        self.spec = spec
        self.model = build_model(spec.architecture)
        self.automatic_optimization = False

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self._weights = list(self.parameters())  # walking the modules at every step shows at the smallest sizes
        return build_optimizer(self.model, self.spec.optimizer)

    def training_step(self, chunk_SBT: Tensor, batch_idx: int) -> None:
        first = self.global_step
        results = [self._optimizer_step(windows_BT, first + i) for i, windows_BT in enumerate(chunk_SBT)]
        losses, norms = zip(*results, strict=True)
        self.losses, self.gradient_norms = torch.stack(losses), torch.stack(norms)
        self._refuse_non_finite(first)

    def _optimizer_step(self, windows_BT: Tensor, step: int) -> tuple[Tensor, Tensor]:
        optimizer: Any = self.optimizers()
        set_learning_rate(optimizer, learning_rate(self.spec, step * self.spec.batch_tokens))
        if self.spec.architecture.dropout:
            torch.manual_seed((self.spec.seed << 32) + step)  # a function of the step, so that resuming is exact
        loss = self.model(windows_BT[:, :-1], windows_BT[:, 1:])
        self.manual_backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self._weights, self.spec.optimizer.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach(), norm.detach()

    def _refuse_non_finite(self, first: int) -> None:
        bad = (~torch.isfinite(self.losses)).nonzero()
        if len(bad):
            index = int(bad[0])
            step = first + index + 1
            raise TrainingError(
                f"run {self.spec.run_id}: the training loss is {self.losses[index].item()} at step {step}"
                f" ({step * self.spec.batch_tokens} tokens), peak learning rate {self.spec.optimizer.learning_rate:g}:"
                " lower the rate or raise the warmup"
            )

"""Losses on fixed token sets, summed in float64, so that two runs differ by their weights alone."""

import torch
from torch import Tensor, nn

from scaling_lab.training.compilation import uncompiled
from scaling_lab.training.models.head import token_losses

# Sequences of one forward pass: small enough for the logits to stay in the cache of a CPU.
SEQUENCES = 16


@torch.inference_mode()
def loss_by_position(model: nn.Module, windows_WT: Tensor) -> Tensor:
    """Mean loss in nats at each position, float64 of shape (context,). Its mean is the loss per token."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    total_T = torch.zeros(windows_WT.shape[1] - 1, dtype=torch.float64)
    for part in torch.split(windows_WT, SEQUENCES):
        part = part.to(device)
        with uncompiled():
            logits = model(part[:, :-1])
        total_T += token_losses(logits, part[:, 1:]).sum(0, dtype=torch.float64).cpu()
    model.train(was_training)
    return total_T / len(windows_WT)

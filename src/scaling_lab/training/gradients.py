"""The gradient of one optimizer step, in one piece or summed over micro-batches, whose norms tell its noise."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def shares(batch_BT: Tensor, parts: int, devices: int) -> Tensor:
    """A batch as (parts, devices, sequences, T): the micro-batches, and what each device takes of each."""
    return batch_BT.view(parts, devices, -1, batch_BT.shape[-1])


def accumulate(
    parts: Sequence[Tensor],
    loss_of: Callable[[Tensor], Tensor],
    backward: Callable[[Tensor], None],
    parameters: Sequence[nn.Parameter],
) -> tuple[Tensor, Tensor]:
    """Leave the gradient of the mean loss over equal `parts` in `.grad`; return that loss and the parts' noise.

    The second value is the mean of the squared gradient norms of the parts, NaN for a single part. Where `backward`
    reduces over devices, a part is what all of them hold of it, and so are its norm and the result: a run measures the
    same noise on any number of devices. More than one part takes the memory of one more gradient.
    """
    if len(parts) == 1:
        loss = loss_of(parts[0])
        backward(loss)
        return loss.detach(), torch.full_like(loss.detach(), math.nan)
    losses, squares = [], []
    total: list[Tensor] | None = None
    for part in parts:
        loss = loss_of(part)
        backward(loss)
        gradients = [p.grad for p in parameters if p.grad is not None]
        squares.append(total_norm(gradients).square())
        losses.append(loss.detach())
        if total is None:
            total = gradients
        else:
            torch._foreach_add_(total, gradients)
        for parameter in parameters:
            parameter.grad = None
    assert total is not None
    torch._foreach_mul_(total, 1 / len(parts))
    for parameter, gradient in zip(parameters, total, strict=True):
        parameter.grad = gradient
    return torch.stack(losses).mean(), torch.stack(squares).mean()


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Euclidean norm of all gradients together, over all shards where they are sharded."""
    return whole(torch.nn.utils.get_total_norm(gradients))


def whole(value: Tensor) -> Tensor:
    """A tensor that is sharded over devices, as a plain one on each of them."""
    full: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return full

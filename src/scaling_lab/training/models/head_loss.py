"""The head and the mean loss in one pass: what training uses in place of `Head` and `token_losses`.

Shape suffixes: N tokens, C tokens of a part, D width, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

from scaling_lab.training.models.products import times_transposed, transposed_times

# Logits of one part on an accelerator, in bytes: large enough to fill it, small beside its memory.
PART_BYTES = 1 << 28

# Width below which MKL is slow at a product whose result is that narrow.
NARROW = 16


class MeanLoss(torch.autograd.Function):
    """Mean cross entropy in nats of the tokens under the logits x W^T, a float32 scalar.

    Loss and gradients come from the same pass over a part of the tokens, whose logits are never kept: 1.0 to 1.4 times
    as fast as autograd's formulation on a CPU (benchmarks/training), and (N, V) is never in memory where N is large.
    The gradient of a logit is softmax - 1[target]; the loss is max(l) - log(max(softmax)) - l[target], since the
    softmax of the largest logit is exp(max(l) - logsumexp(l)).
    """

    @staticmethod
    def forward(ctx: Any, x_BTD: Tensor, weight_VD: Tensor, targets_BT: Tensor) -> Tensor:
        dtype = _matmul_dtype(x_BTD)
        with torch.autocast(x_BTD.device.type, enabled=False):
            x_ND, weight_VD = x_BTD.detach().flatten(0, -2).to(dtype), weight_VD.detach().to(dtype)
            loss, ctx.x_gradient_ND, ctx.weight_gradient_DV = _pass(x_ND, weight_VD, targets_BT.reshape(-1, 1))
        ctx.shape = x_BTD.shape
        return loss / len(x_ND)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        scale = gradients[0] * ctx.shape[-1] / ctx.shape.numel()
        x_gradient_BTD = (ctx.x_gradient_ND * scale).view(ctx.shape)
        return x_gradient_BTD, (ctx.weight_gradient_DV * scale).t(), None


def _matmul_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def part_tokens(width: int, vocabulary: int, device: str) -> int:
    """Tokens of one part.

    On a CPU few, so that their logits stay in the cache, and more for wide models, where adding each part's weight
    gradient to the sum costs more than the cache saves (D 8 to 192, V 1024 to 8192 measured).
    """
    return max(128, 8 * width) if device == "cpu" else max(128, PART_BYTES // (4 * vocabulary))


def _pass(x_ND: Tensor, weight_VD: Tensor, targets_N1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum of the losses, and its gradients by x, (N, D), and by the weights, (D, V), in the precision of the sum.

    The weight gradient is x^T g: its transpose g^T x is up to nine times as slow in MKL at small widths.
    """
    precision = torch.promote_types(x_ND.dtype, torch.float32)
    total = torch.zeros((), dtype=precision, device=x_ND.device)
    x_gradient_ND = torch.empty_like(x_ND, dtype=precision)
    weight_gradient_DV = torch.zeros(weight_VD.shape[::-1], dtype=precision, device=x_ND.device)
    vocabulary, width = weight_VD.shape
    size = part_tokens(width, vocabulary, x_ND.device.type)
    parts = (torch.split(whole, size) for whole in (x_ND, targets_N1, x_gradient_ND))
    for x_CD, targets_C1, gradient_CD in zip(*parts, strict=True):
        logits_CV = times_transposed(x_CD, weight_VD).to(precision)
        gradient_CV = torch.softmax(logits_CV, -1)
        log_sum_C = logits_CV.amax(-1) - gradient_CV.amax(-1).log_()
        total += (log_sum_C - logits_CV.gather(1, targets_C1)[:, 0]).sum()
        gradient_CV.scatter_add_(1, targets_C1, gradient_CV.new_full(targets_C1.shape, -1.0))
        gradient_CV = gradient_CV.to(x_CD.dtype)
        gradient_CD.copy_(_times_weight(gradient_CV, weight_VD))
        weight_gradient_DV += transposed_times(x_CD, gradient_CV)
    return total, x_gradient_ND, weight_gradient_DV


def _times_weight(gradient_CV: Tensor, weight_VD: Tensor) -> Tensor:
    """g W, for narrow models as (W^T g^T)^T, which MKL computes three times as fast at width 8."""
    if weight_VD.shape[1] < NARROW:
        return (weight_VD.t() @ gradient_CV.t()).t()
    return times_transposed(gradient_CV, weight_VD.t())

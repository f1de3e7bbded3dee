"""Matrix products in float32 on a CPU by oneDNN, and a linear layer of them.

Torch multiplies float32 by MKL, which leaves half of the vector width of an AMD processor unused: oneDNN, which torch
ships for its compiled models, is 1.2 to 2.3 times as fast from width 32 on (benchmarks/training/products.py). Else, and
for products that are too small to gain, these functions are torch's own.

Shape suffixes: M, K, N the sides of a product; I and O inputs and outputs of a layer.
"""

import platform
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# Multiplications from which oneDNN, whose calls cost more, is the faster one: 640 tokens at a layer of 48 x 48.
SMALLEST = 1_400_000

_X86 = platform.machine() in ("x86_64", "AMD64") and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def times_transposed(a_MK: Tensor, b_NK: Tensor, bias_N: Tensor | None = None) -> Tensor:
    """a b^T + bias, of shape (M, N); the sides may be views with any strides."""
    if _gains(a_MK, b_NK):
        product: Tensor = torch.ops.mkldnn._linear_pointwise(a_MK, b_NK, bias_N, "none", [], "")
        return product
    return functional.linear(a_MK, b_NK, bias_N)


def transposed_times(a_KM: Tensor, b_KN: Tensor) -> Tensor:
    """a^T b, of shape (M, N); the product whose longer side comes second is the faster one."""
    if not _gains(a_KM, b_KN.t()):
        return a_KM.t() @ b_KN
    if a_KM.shape[1] <= b_KN.shape[1]:
        return times_transposed(a_KM.t(), b_KN.t())
    return times_transposed(b_KN.t(), a_KM.t()).t()


def _gains(a: Tensor, b: Tensor) -> bool:
    on_cpu = _X86 and a.device.type == "cpu" and a.dtype == b.dtype == torch.float32
    return on_cpu and a.numel() * b.numel() >= SMALLEST * a.shape[1]


class Linear(nn.Linear):
    """`torch.nn.Linear` whose products are those of this module."""

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type != "cpu" or torch.compiler.is_compiling():  # which chooses its own products
            return super().forward(input)
        out: Tensor = _Linear.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return out


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        x_MI = x.flatten(0, -2)
        ctx.save_for_backward(x_MI, weight_OI)
        return times_transposed(x_MI, weight_OI, bias_O).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        x_MI, weight_OI = ctx.saved_tensors
        gradient_MO = gradients[0].flatten(0, -2)
        x_gradient = times_transposed(gradient_MO, weight_OI.t()).view(*gradients[0].shape[:-1], -1)
        bias_gradient_O = gradient_MO.sum(0) if ctx.needs_input_grad[2] else None
        return x_gradient, transposed_times(gradient_MO, x_MI), bias_gradient_O

"""Causal multi-head self-attention with learned or rotary positions.

Shape suffixes: B sequences, T positions, D width, H heads, K head dimension, S queries, keys (and values).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling_lab.architectures import TransformerSpec, UniversalSpec
from scaling_lab.training.models.products import Linear

# RoFormer's base of the rotary wavelengths.
ROTARY_BASE = 10_000.0


def rotations(context: int, head_dim: int) -> Tensor:
    """exp(i t base^(-2 k / head_dim)) for position t and pair k, complex64 of shape (context, head_dim / 2)."""
    frequencies = ROTARY_BASE ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.arange(context, dtype=torch.float64)[:, None] * frequencies
    return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)


def rotate(x_BTSHK: Tensor, turns_TK: Tensor) -> Tensor:
    """Turn each pair of neighbouring components by its position's angle (Su et al. 2021, RoFormer, Eq 16)."""
    pairs = torch.view_as_complex(x_BTSHK.to(_real(x_BTSHK)).reshape(*x_BTSHK.shape[:-1], -1, 2))
    turned: Tensor = torch.view_as_real(pairs * turns_TK[:, None, None, :]).flatten(-2)
    return turned.type_as(x_BTSHK)


def _real(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


class RotatedHeads(torch.autograd.Function):
    """Queries, keys and values (B, T, 3, H, K), interleaved, to three (B, H, T, K), the first two rotated.

    Autograd's formulation (slice, rotate, concatenate, unbind) passes over all of them six times more.
    """

    @staticmethod
    def forward(ctx: Any, qkv_BTSHK: Tensor, turns_TK: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(turns_TK)
        q_BTHK, k_BTHK = rotate(qkv_BTSHK[:, :, :2], turns_TK).unbind(2)
        return tuple(x_BTHK.transpose(1, 2) for x_BTHK in (q_BTHK, k_BTHK, qkv_BTSHK[:, :, 2]))

    @staticmethod
    def backward(ctx: Any, *gradients_BHTK: Tensor) -> tuple[Tensor, None]:
        (turns_TK,) = ctx.saved_tensors
        q_and_k_BTSHK = torch.stack([gradient.transpose(1, 2) for gradient in gradients_BHTK[:2]], dim=2)
        turned_BTSHK = rotate(q_and_k_BTSHK, turns_TK.conj())  # a rotation's transpose is its inverse
        return torch.cat([turned_BTSHK, gradients_BHTK[2].transpose(1, 2)[:, :, None]], dim=2), None


class Attention(nn.Module):
    """Causal multi-head self-attention, as wide as all its heads together."""

    turns: Tensor | None

    def __init__(self, spec: TransformerSpec | UniversalSpec) -> None:
        super().__init__()
        self.n_head, self.head_dim = spec.n_head, spec.head_width
        self.width = self.n_head * self.head_dim
        self.dropout = spec.dropout
        # None: 1 / sqrt(head_dim). With muP queries and keys grow alike, and their product with the width.
        self.scale = None if spec.parametrization == "standard" else 1 / self.head_dim
        self.qkv = Linear(spec.d_model, 3 * self.width)
        self.project = Linear(self.width, spec.d_model)
        turns = rotations(spec.context, self.head_dim) if spec.positions == "rotary" else None
        self.register_buffer("turns", turns, persistent=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        batch, positions, _ = x_BTD.shape
        qkv = self.qkv(x_BTD).view(batch, positions, 3, self.n_head, self.head_dim)
        if self.turns is None:
            q_BHTK, k_BHTK, v_BHTK = qkv.permute(2, 0, 3, 1, 4)
        else:
            q_BHTK, k_BHTK, v_BHTK = RotatedHeads.apply(qkv, self.turns[:positions])  # type: ignore[no-untyped-call]
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            q_BHTK, k_BHTK, v_BHTK, dropout_p=dropout, is_causal=True, scale=self.scale
        )
        out: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, positions, self.width))
        return out

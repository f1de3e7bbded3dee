"""Causal multi-head self-attention with learned or rotary positions.

Shape suffixes: B sequences, T positions, D width, H heads, K head dimension, S queries, keys (and values).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling_lab.architectures import TransformerSpec, UniversalSpec

# RoFormer's base of the rotary wavelengths.
ROTARY_BASE = 10_000.0


def rotations(context: int, head_dim: int) -> Tensor:
    """exp(i t base^(-2 k / head_dim)) for position t and pair k, complex64 of shape (context, head_dim / 2)."""
    frequencies = ROTARY_BASE ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.arange(context, dtype=torch.float64)[:, None] * frequencies
    return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)


def rotate(x_BTSHK: Tensor, turns_TK: Tensor) -> Tensor:
    """Turn each pair of neighbouring components by its position's angle (Su et al. 2021, RoFormer, Eq 16)."""
    pairs = torch.view_as_complex(x_BTSHK.float().reshape(*x_BTSHK.shape[:-1], -1, 2))
    turned: Tensor = torch.view_as_real(pairs * turns_TK[:, None, None, :]).flatten(-2)
    return turned.type_as(x_BTSHK)


class Attention(nn.Module):
    """Causal multi-head self-attention, as wide as all its heads together."""

    turns: Tensor | None

    def __init__(self, spec: TransformerSpec | UniversalSpec) -> None:
        super().__init__()
        self.n_head, self.head_dim = spec.n_head, spec.head_width
        self.width = self.n_head * self.head_dim
        self.dropout = spec.dropout
        # None: 1 / sqrt(head_dim). With muP queries and keys grow alike, and their product with the width.
        self.scale = 1 / self.head_dim if spec.parametrization == "mup" else None
        self.qkv = nn.Linear(spec.d_model, 3 * self.width)
        self.project = nn.Linear(self.width, spec.d_model)
        turns = rotations(spec.context, self.head_dim) if spec.positions == "rotary" else None
        self.register_buffer("turns", turns, persistent=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        batch, positions, _ = x_BTD.shape
        qkv = self.qkv(x_BTD).view(batch, positions, 3, self.n_head, self.head_dim)
        if self.turns is not None:
            qkv = torch.cat([rotate(qkv[:, :, :2], self.turns[:positions]), qkv[:, :, 2:]], dim=2)
        q_BHTK, k_BHTK, v_BHTK = qkv.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            q_BHTK, k_BHTK, v_BHTK, dropout_p=dropout, is_causal=True, scale=self.scale
        )
        out: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, positions, self.width))
        return out

"""The decoder-only GPT that this package trains.

Learned or rotary positions, pre-norm blocks, biases everywhere (layer norms included), an output head tied to the token
embedding, and attention as wide as the model (d_attn = d_model).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scaling_lab.science.accounting.conventions import Architecture, FlopsConvention, ForwardWork, require_positive

Positions = Literal["learned", "rotary"]
"""A trained vector for each position, or queries and keys turned by their position (RoFormer), without parameters."""


@dataclass(frozen=True)
class Shape(Architecture):
    """A buildable model: whole numbers, heads that divide the width. `n_layer` 0 is embedding and head alone.

    In total V d + T d + L (12 d^2 + 13 d) + 2 d parameters when d_ff = 4 d; no T d if rotary.
    """

    n_layer: int
    d_model: int
    n_head: int
    d_ff: int
    context: int
    vocab_size: int
    positions: Positions = "learned"

    def __post_init__(self) -> None:
        require_positive(self, "d_model", "n_head", "d_ff", "context", "vocab_size")
        if self.n_layer < 0:
            raise ValueError(f"n_layer is {self.n_layer}; allowed: 0 or more")
        if self.d_model % self.n_head:
            raise ValueError(f"n_head {self.n_head} does not divide d_model {self.d_model}")

    @property
    def params_by_group(self) -> dict[str, int]:
        layers, width, inner = self.n_layer, self.d_model, self.d_ff
        return {
            "embedding": self.vocab_size * width,
            "position": self.context * width if self.positions == "learned" else 0,
            "head": 0,  # tied
            "attention": layers * 4 * width * width,
            "feed_forward": layers * 2 * width * inner,
            "norms": (2 * layers + 1) * 2 * width,
            "biases": layers * (4 * width + inner + width),
        }

    @property
    def params_non_embedding(self) -> int:
        """Kaplan Eq 2.1: 2 d_model n_layer (2 d_attn + d_ff); no embeddings, biases or norms."""
        return int(blocks_params(self.n_layer, self.d_model, self.d_ff))

    @property
    def forward_work(self) -> ForwardWork:
        return _forward_work(self.n_layer, self.d_model, self.n_head, self.d_ff, self.context, self.vocab_size)


def blocks_params(n_layer: float, d_model: float, d_ff: float) -> float:
    """Weights of the blocks, 2 d_model n_layer (2 d_model + d_ff) (Kaplan Eq 2.1); fractional sizes allowed."""
    return 2 * d_model * n_layer * (2 * d_model + d_ff)


def flops_groups(
    convention: FlopsConvention,
    n_layer: float,
    d_model: float,
    n_head: float,
    d_ff: float,
    context: float,
    vocab_size: float,
) -> dict[str, float]:
    """Training FLOPs per token by group; fractional sizes allowed, so that a planner can treat size as continuous."""
    return _forward_work(n_layer, d_model, n_head, d_ff, context, vocab_size).training_groups(convention)


def _forward_work(
    n_layer: float, d_model: float, n_head: float, d_ff: float, context: float, vocab_size: float
) -> ForwardWork:
    return ForwardWork(
        weights=2 * blocks_params(n_layer, d_model, d_ff),
        unlisted=0,
        scores=2 * n_layer * context * d_model,
        softmax=3 * n_layer * n_head * context,
        head=2 * d_model * vocab_size,
    )

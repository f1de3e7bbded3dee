"""The decoder-only GPT that this package trains.

Learned or rotary positions, pre-norm blocks, biases everywhere (layer norms included) but in the output head, which is
tied to the token embedding or a matrix of its own. Attention is as wide as the model (d_attn = d_model) unless the
width of its heads is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scaling_lab.science.accounting.conventions import Architecture, FlopsConvention, ForwardWork, require_positive

Positions = Literal["learned", "rotary"]
"""A trained vector for each position, or queries and keys turned by their position (RoFormer), without parameters."""


@dataclass(frozen=True)
class Shape(Architecture):
    """A buildable model: whole numbers, heads that divide the width or a width of their own. `n_layer` 0 is embedding
    and head alone.

    In total V d + T d + L (12 d^2 + 13 d) + 2 d parameters when d_ff = 4 d and d_attn = d; no T d if rotary, and once
    more V d if the head is not tied.
    """

    n_layer: int
    d_model: int
    n_head: int
    d_ff: int
    context: int
    vocab_size: int
    positions: Positions = "learned"
    head_dim: int | None = None
    tied: bool = True

    def __post_init__(self) -> None:
        require_positive(self, "d_model", "n_head", "d_ff", "context", "vocab_size")
        if self.n_layer < 0:
            raise ValueError(f"n_layer is {self.n_layer}; allowed: 0 or more")
        if self.head_dim is not None:
            require_positive(self, "head_dim")
        elif self.d_model % self.n_head:
            raise ValueError(f"n_head {self.n_head} does not divide d_model {self.d_model}")

    @property
    def d_attn(self) -> int:
        """Width of all heads together."""
        return self.d_model if self.head_dim is None else self.n_head * self.head_dim

    @property
    def params_by_group(self) -> dict[str, int]:
        layers, width, attention, inner = self.n_layer, self.d_model, self.d_attn, self.d_ff
        embedding = self.vocab_size * width
        return {
            "embedding": embedding,
            "position": self.context * width if self.positions == "learned" else 0,
            "head": 0 if self.tied else embedding,
            "attention": layers * 4 * width * attention,
            "feed_forward": layers * 2 * width * inner,
            "norms": (2 * layers + 1) * 2 * width,
            "biases": layers * (3 * attention + width + inner + width),
        }

    @property
    def params_non_embedding(self) -> int:
        """Kaplan Eq 2.1: 2 d_model n_layer (2 d_attn + d_ff); no embeddings, biases or norms."""
        return int(blocks_params(self.n_layer, self.d_model, self.d_ff, self.d_attn))

    @property
    def forward_work(self) -> ForwardWork:
        return _forward_work(
            self.n_layer, self.d_model, self.n_head, self.d_ff, self.context, self.vocab_size, self.d_attn
        )


def blocks_params(n_layer: float, d_model: float, d_ff: float, d_attn: float | None = None) -> float:
    """Weights of the blocks, 2 d_model n_layer (2 d_attn + d_ff) (Kaplan Eq 2.1); fractional sizes allowed.

    Attention is as wide as the model where `d_attn` is not given.
    """
    return 2 * d_model * n_layer * (2 * (d_model if d_attn is None else d_attn) + d_ff)


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
    return _forward_work(n_layer, d_model, n_head, d_ff, context, vocab_size, d_model).training_groups(convention)


def _forward_work(
    n_layer: float, d_model: float, n_head: float, d_ff: float, context: float, vocab_size: float, d_attn: float
) -> ForwardWork:
    return ForwardWork(
        weights=2 * blocks_params(n_layer, d_model, d_ff, d_attn),
        unlisted=0,
        scores=2 * n_layer * context * d_attn,
        softmax=3 * n_layer * n_head * context,
        head=2 * d_model * vocab_size,
    )

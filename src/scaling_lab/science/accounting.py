"""Parameters and training FLOPs of a decoder-only GPT, by every convention in use.

The model counted here has learned or rotary positions, pre-norm blocks, biases everywhere (layer norms included), an
output head tied to the token embedding, and attention as wide as the model (d_attn = d_model). Pure Python: importing
it is free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

PF_DAY = 1e15 * 86_400
"""FLOPs in one petaflop/s-day (Kaplan et al. 2020, Table 1)."""

Positions = Literal["learned", "rotary"]
"""A trained vector for each position, or queries and keys turned by their position (RoFormer), without parameters."""

FlopsConvention = Literal["6n", "kaplan", "deepseek", "head", "matmul", "hoffmann"]
ParamsConvention = Literal["params_non_embedding", "params_with_head", "params_total"]

FLOPS_CONVENTIONS: tuple[tuple[FlopsConvention, str], ...] = (
    ("6n", "6 N: weights of the blocks only"),
    ("kaplan", "6 N + 6 n_layer context d_model: adds the attention scores (Kaplan Eq 2.2, times 3)"),
    ("deepseek", "6 N + 12 n_layer context d_model: adds attention times values too (DeepSeek's M)"),
    ("head", "kaplan + 6 d_model vocab: adds the output head (Porian et al. 2024)"),
    ("matmul", "6 N + 12 n_layer context d_model + 6 d_model vocab: every matrix product"),
    ("hoffmann", "Hoffmann et al. 2022, appendix F taken literally: embedding lookup and softmax counted"),
)
"""The FLOPs conventions and what each counts; N is `params_non_embedding`."""

PARAMS_CONVENTIONS: tuple[tuple[ParamsConvention, str], ...] = (
    ("params_non_embedding", "weight matrices of the blocks (Kaplan Eq 2.1)"),
    ("params_with_head", "non-embedding parameters and the output head"),
    ("params_total", "every trainable number, the tied head once"),
)
"""The conventions of counting parameters and what each counts."""


@dataclass(frozen=True)
class Shape:
    """A buildable model: whole numbers, heads that divide the width. `n_layer` 0 is embedding and head alone."""

    n_layer: int
    d_model: int
    n_head: int
    d_ff: int
    context: int
    vocab_size: int
    positions: Positions = "learned"

    def __post_init__(self) -> None:
        for name in ("d_model", "n_head", "d_ff", "context", "vocab_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: 1 or more")
        if self.n_layer < 0:
            raise ValueError(f"n_layer is {self.n_layer}; allowed: 0 or more")
        if self.d_model % self.n_head:
            raise ValueError(f"n_head {self.n_head} does not divide d_model {self.d_model}")

    @property
    def params_by_group(self) -> dict[str, int]:
        """Trainable parameters of each group; the groups are disjoint and sum to `params_total`."""
        layers, width, inner = self.n_layer, self.d_model, self.d_ff
        return {
            "embedding": self.vocab_size * width,
            "position": self.context * width if self.positions == "learned" else 0,
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
    def params_with_head(self) -> int:
        """Non-embedding parameters and the d_model x vocab output head."""
        return self.params_non_embedding + self.d_model * self.vocab_size

    @property
    def params_total(self) -> int:
        """Every trainable number: V d + T d + L (12 d^2 + 13 d) + 2 d when d_ff = 4 d; no T d if rotary."""
        return sum(self.params_by_group.values())

    def params(self, convention: ParamsConvention) -> int:
        """Parameters by a named convention."""
        if convention not in get_args(ParamsConvention):
            raise ValueError(f"params convention {convention!r}; allowed: {', '.join(get_args(ParamsConvention))}")
        return int(getattr(self, convention))

    def flops_by_group(self, convention: FlopsConvention) -> dict[str, int]:
        """Training FLOPs per token of each group (forward and backward, 3 x forward)."""
        groups = flops_groups(
            convention, self.n_layer, self.d_model, self.n_head, self.d_ff, self.context, self.vocab_size
        )
        return {name: int(value) for name, value in groups.items()}

    def flops_per_token(self, convention: FlopsConvention) -> int:
        """Training FLOPs per token (forward and backward) by a named convention."""
        return sum(self.flops_by_group(convention).values())

    def training_flops(self, convention: FlopsConvention, tokens: float) -> float:
        """FLOPs of training on `tokens` tokens."""
        return self.flops_per_token(convention) * tokens


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
    blocks = 6 * blocks_params(n_layer, d_model, d_ff)
    scores = 6 * n_layer * context * d_model
    head = 6 * d_model * vocab_size
    match convention:
        case "6n":
            return {"blocks": blocks}
        case "kaplan":
            return {"blocks": blocks, "scores": scores}
        case "deepseek":
            return {"blocks": blocks, "scores": scores, "mixing": scores}
        case "head":
            return {"blocks": blocks, "scores": scores, "head": head}
        case "matmul":
            return {"blocks": blocks, "scores": scores, "mixing": scores, "head": head}
        case "hoffmann":
            softmax = 9 * n_layer * n_head * context
            return {
                "embedding": head,
                "blocks": blocks,
                "scores": scores,
                "softmax": softmax,
                "mixing": scores,
                "head": head,
            }
    allowed = ", ".join(name for name, _ in FLOPS_CONVENTIONS)
    raise ValueError(f"FLOPs convention {convention!r}; allowed: {allowed}")

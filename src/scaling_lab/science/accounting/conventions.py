"""What the conventions of counting parameters and FLOPs count, and the interface that every architecture offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, get_args

PF_DAY = 1e15 * 86_400
"""FLOPs in one petaflop/s-day (Kaplan et al. 2020, Table 1)."""

FlopsConvention = Literal["6n", "kaplan", "deepseek", "head", "matmul", "hoffmann", "hoffmann_a4"]
ParamsConvention = Literal["params_non_embedding", "params_with_head", "params_total"]

FLOPS_CONVENTIONS: tuple[tuple[FlopsConvention, str], ...] = (
    ("6n", "6 N: weights of the blocks only"),
    ("kaplan", "6 N + 6 n_layer context d_attn: adds the attention scores (Kaplan Eq 2.2, times 3)"),
    ("deepseek", "6 N + 12 n_layer context d_attn: adds attention times values too (DeepSeek's M)"),
    ("head", "kaplan + 6 d_model vocab: adds the output head (Porian et al. 2024)"),
    ("matmul", "6 N + 12 n_layer context d_attn + 6 d_model vocab: every matrix product"),
    ("hoffmann", "Hoffmann et al. 2022, appendix F taken literally: embedding lookup and softmax counted"),
    ("hoffmann_a4", "Hoffmann et al. 2022, appendix F as its Table A4 was made: without embedding lookup and head"),
)
"""The FLOPs conventions and what each counts; N is `params_with_reuse`, for most models `params_non_embedding`."""

PARAMS_CONVENTIONS: tuple[tuple[ParamsConvention, str], ...] = (
    ("params_non_embedding", "weight matrices of the blocks (Kaplan Eq 2.1)"),
    ("params_with_head", "non-embedding parameters and the output head"),
    ("params_total", "every trainable number, the tied head once"),
)
"""The conventions of counting parameters and what each counts."""


def pf_days(flops: float) -> float:
    """FLOPs in petaflop/s-days."""
    return flops / PF_DAY


@dataclass(frozen=True)
class ForwardWork:
    """Forward FLOPs per token of the parts of a model; training costs three times as much.

    weights: 2 per weight of the blocks and its use; unlisted: the part of it that Hoffmann's appendix F does not list;
    scores: queries times keys (attention times values costs the same); softmax: 3 per score; head: 2 d_model vocab.
    """

    weights: float
    unlisted: float
    scores: float
    softmax: float
    head: float

    def training_groups(self, convention: FlopsConvention) -> dict[str, float]:
        """Training FLOPs per token of each group that the convention counts.

        Raises:
            ValueError: the convention is unknown.
        """
        blocks, listed = 3 * self.weights, 3 * (self.weights - self.unlisted)
        scores, softmax, head = 3 * self.scores, 3 * self.softmax, 3 * self.head
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
            case "hoffmann_a4":
                return {"blocks": listed, "scores": scores, "softmax": softmax, "mixing": scores}
            case "hoffmann":
                inner = {"blocks": listed, "scores": scores, "softmax": softmax, "mixing": scores}
                return {"embedding": head, **inner, "head": head}
        allowed = ", ".join(name for name, _ in FLOPS_CONVENTIONS)
        raise ValueError(f"FLOPs convention {convention!r}; allowed: {allowed}")


class Architecture(ABC):
    """A model whose parameters and FLOPs can be counted, with an output head of d_model x vocab."""

    d_model: int
    vocab_size: int

    @property
    @abstractmethod
    def params_by_group(self) -> dict[str, int]:
        """Trainable parameters of each group; the groups are disjoint and sum to `params_total`."""

    @property
    @abstractmethod
    def params_non_embedding(self) -> int:
        """Weight matrices other than embeddings and head; no biases, no norms."""

    @property
    @abstractmethod
    def forward_work(self) -> ForwardWork:
        """Forward FLOPs per token of the model's parts."""

    @property
    def params_with_reuse(self) -> int:
        """Non-embedding parameters, each counted as often as a token passes through it."""
        return self.params_non_embedding

    @property
    def params_with_head(self) -> int:
        """Non-embedding parameters and the d_model x vocab output head."""
        return self.params_non_embedding + self.d_model * self.vocab_size

    @property
    def params_total(self) -> int:
        """Every trainable number, the tied head once."""
        return sum(self.params_by_group.values())

    def params(self, convention: ParamsConvention) -> int:
        """Parameters by a named convention."""
        if convention not in get_args(ParamsConvention):
            raise ValueError(f"params convention {convention!r}; allowed: {', '.join(get_args(ParamsConvention))}")
        return int(getattr(self, convention))

    def flops_by_group(self, convention: FlopsConvention) -> dict[str, int]:
        """Training FLOPs per token of each group (forward and backward, 3 x forward)."""
        return {name: round(value) for name, value in self.forward_work.training_groups(convention).items()}

    def flops_per_token(self, convention: FlopsConvention) -> int:
        """Training FLOPs per token (forward and backward) by a named convention."""
        return sum(self.flops_by_group(convention).values())

    def training_flops(self, convention: FlopsConvention, tokens: float) -> float:
        """FLOPs of training on `tokens` tokens."""
        return self.flops_per_token(convention) * tokens


def require_positive(shape: object, *names: str) -> None:
    """Refuse sizes below 1, naming the field.

    Raises:
        ValueError: a field is below 1.
    """
    for name in names:
        if getattr(shape, name) < 1:
            raise ValueError(f"{name} is {getattr(shape, name)}; allowed: 1 or more")

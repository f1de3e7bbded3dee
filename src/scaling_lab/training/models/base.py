"""What all models share: embedding and head, counts by group, initial scales and rates by parametrization.

Shape suffixes: B sequences, T positions, D width, V vocabulary.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from typing import NamedTuple

from torch import Tensor, nn

from scaling_lab.architectures import ArchitectureSpec
from scaling_lab.science.accounting import FlopsConvention
from scaling_lab.training.models.head import Head
from scaling_lab.training.models.head_loss import MeanLoss

# Matrices whose two sides both grow with the width: those that muP treats unlike the standard parametrization.
HIDDEN = ("attention", "feed_forward", "gates")


class Factors(NamedTuple):
    """What a parameter's peak rate, weight decay and epsilon of AdamW are multiplied by."""

    rate: float = 1.0
    decay: float = 1.0
    epsilon: float = 1.0


class TokenModel(nn.Module, ABC):
    """Tokens (B, T) to logits (B, T, V).

    In muP (Yang et al. 2022, Table 8; m = d_model / base_width) embeddings and head start at 1 / sqrt(base_width) at
    every width, hidden matrices at 1 / sqrt(fan-in) and learn at 1 / m of the rate, and logits are divided by m.

    CompleteP (Dey et al. 2025, Table 1, alpha = 1; m_L = depth / base_depth) adds to it: every branch is divided by
    m_L; hidden matrices decay by m times the weight decay, so that rate times decay is the same at every width; AdamW's
    epsilon is divided by m, in the blocks by m m_L, as the gradients are (the authors' code divides all by m m_L). The
    rates of matrices, norms and biases do not depend on depth at alpha = 1, and the initial scale of branch outputs is
    that of the base depth.
    """

    def __init__(self, spec: ArchitectureSpec, width_multiple: float = 1.0, depth_multiple: float = 1.0) -> None:
        super().__init__()
        self.spec, self.width_multiple, self.depth_multiple = spec, width_multiple, depth_multiple
        self.token_embedding = nn.Embedding(spec.vocab_size, spec.d_model)
        self.head = None if spec.tied else nn.Linear(spec.d_model, spec.vocab_size, bias=False)
        self.dropout = nn.Dropout(spec.dropout)

    @abstractmethod
    def features(self, tokens_BT: Tensor) -> Tensor:
        """What the head multiplies, of shape (B, T, D)."""

    @property
    def head_weight(self) -> Tensor:
        """Matrix of the head, of shape (V, D)."""
        return self.token_embedding.weight if self.head is None else self.head.weight

    def forward(self, tokens_BT: Tensor, targets_BT: Tensor | None = None) -> Tensor:
        """Logits (B, T, V); with targets their mean loss in nats, a scalar, without ever holding all logits."""
        x_BTD = self.features(tokens_BT)
        if self.width_multiple != 1:
            x_BTD = x_BTD / self.width_multiple
        out: Tensor
        if targets_BT is None:
            out = Head.apply(x_BTD, self.head_weight)  # type: ignore[no-untyped-call]
        else:
            out = MeanLoss.apply(x_BTD, self.head_weight, targets_BT)  # type: ignore[no-untyped-call]
        return out

    def params_by_group(self) -> dict[str, int]:
        """Trainable parameters by the groups of `science.accounting`; the groups that have none are left out."""
        counts: Counter[str] = Counter()
        for name, parameter in self.named_parameters():
            counts[parameter_group(name)] += parameter.numel()
        return dict(counts)

    def flops_per_token(self, convention: FlopsConvention) -> int:
        """Training FLOPs per token by a named convention."""
        return self.spec.shape.flops_per_token(convention)

    def optimizer_factors(self, name: str) -> Factors:
        """What the parametrization multiplies the optimizer's settings by for the parameter of that name."""
        width, is_hidden = self.width_multiple, parameter_group(name) in HIDDEN
        rate = 1 / width if is_hidden else 1.0
        if getattr(self.spec, "parametrization", "standard") != "completep":
            return Factors(rate)
        blocks = self.depth_multiple if name.startswith("blocks.") else 1.0
        return Factors(rate, decay=width if is_hidden else 1.0, epsilon=1 / (width * blocks))

    @property
    def embedding_scale(self) -> float:
        """Initial standard deviation of embeddings and head: 1 / sqrt(d_model), in muP of the base width."""
        return 1 / math.sqrt(self.spec.d_model / self.width_multiple)

    def initialize(self) -> None:
        """Variance 1 / fan-in, so that all widths start alike; branch outputs shrink by sqrt(2 layers) (GPT-2).

        Of CompleteP, whose forward pass divides them by the depth, by that of the base depth.
        """
        depth = self.spec.depth / self.depth_multiple
        for name, parameter in self.named_parameters():
            group = parameter_group(name)
            if group in HIDDEN:
                depth_scale = 1 / math.sqrt(2 * depth) if name.endswith("project.weight") else 1.0
                nn.init.normal_(parameter, std=depth_scale / math.sqrt(parameter.shape[1]))
            elif group in ("embedding", "position", "head"):
                nn.init.normal_(parameter, std=self.embedding_scale)
            elif name.split(".")[-1].startswith("bias"):
                nn.init.zeros_(parameter)


def parameter_group(name: str) -> str:
    """Group of `science.accounting` that a parameter of a `TokenModel` belongs to."""
    *owners, kind = name.split(".")
    if owners[-1].endswith("norm"):
        return "norms"
    if kind.startswith("bias"):
        return "biases"
    return next(group for owner, group in _GROUPS.items() if owner in owners)


_GROUPS = {
    "token_embedding": "embedding",
    "position_embedding": "position",
    "head": "head",
    "attention": "attention",
    "feed_forward": "feed_forward",
    "lstm": "gates",
}

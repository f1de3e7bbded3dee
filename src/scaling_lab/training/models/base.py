"""What all models share: embedding and head, counts by group, initial scales and rates by parametrization.

Shape suffixes: B sequences, T positions, D width, V vocabulary.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter

from torch import Tensor, nn

from scaling_lab.architectures import ArchitectureSpec
from scaling_lab.science.accounting import FlopsConvention
from scaling_lab.training.models.head import Head
from scaling_lab.training.models.head_loss import MeanLoss

# Matrices whose two sides both grow with the width: those that muP treats unlike the standard parametrization.
HIDDEN = ("attention", "feed_forward", "gates")


class TokenModel(nn.Module, ABC):
    """Tokens (B, T) to logits (B, T, V).

    In muP (Yang et al. 2022, Table 8; m = d_model / base_width) embeddings and head start at 1 / sqrt(base_width) at
    every width, hidden matrices at 1 / sqrt(fan-in) and learn at 1 / m of the rate, and logits are divided by m.
    """

    def __init__(self, spec: ArchitectureSpec, width_multiple: float = 1.0) -> None:
        super().__init__()
        self.spec, self.width_multiple = spec, width_multiple
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

    @property
    def learning_rate_factors(self) -> dict[str, float]:
        """Factors of the learning rate by name of the parameter; 1 for those that are not named."""
        if self.width_multiple == 1:
            return {}
        hidden = (name for name, _ in self.named_parameters() if parameter_group(name) in HIDDEN)
        return dict.fromkeys(hidden, 1 / self.width_multiple)

    @property
    def embedding_scale(self) -> float:
        """Initial standard deviation of embeddings and head: 1 / sqrt(d_model), in muP of the base width."""
        return 1 / math.sqrt(self.spec.d_model / self.width_multiple)

    def initialize(self) -> None:
        """Variance 1 / fan-in, so that all widths start alike; branch outputs shrink by sqrt(2 layers) (GPT-2)."""
        for name, parameter in self.named_parameters():
            group = parameter_group(name)
            if group in HIDDEN:
                depth_scale = 1 / math.sqrt(2 * self.spec.depth) if name.endswith("project.weight") else 1.0
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

"""Decoder-only pre-norm Transformer: the architecture of GPT-2, with learned or rotary positions.

Shape suffixes: B sequences, T positions, D width.
"""

from torch import Tensor, nn
from torch.nn import functional

from scaling_lab.architectures import TransformerSpec, UniversalSpec
from scaling_lab.training.models.attention import Attention
from scaling_lab.training.models.base import TokenModel
from scaling_lab.training.models.products import Linear


class FeedForward(nn.Module):
    """Two matrices with GELU between them."""

    def __init__(self, spec: TransformerSpec | UniversalSpec) -> None:
        super().__init__()
        self.expand = Linear(spec.d_model, spec.d_ff)
        self.project = Linear(spec.d_ff, spec.d_model)

    def forward(self, x_BTD: Tensor) -> Tensor:
        out: Tensor = self.project(functional.gelu(self.expand(x_BTD)))
        return out


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)); of CompleteP, both branches over the depth's multiple."""

    def __init__(self, spec: TransformerSpec | UniversalSpec) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(spec.d_model)
        self.attention = Attention(spec)
        self.feed_forward_norm = nn.LayerNorm(spec.d_model)
        self.feed_forward = FeedForward(spec)
        self.dropout = nn.Dropout(spec.dropout)
        self.depth_multiple = spec.depth_multiple

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_BTD = x_BTD + self._scaled(self.attention(self.attention_norm(x_BTD)))
        out: Tensor = x_BTD + self._scaled(self.feed_forward(self.feed_forward_norm(x_BTD)))
        return out

    def _scaled(self, branch_BTD: Tensor) -> Tensor:
        dropped: Tensor = self.dropout(branch_BTD)
        return dropped if self.depth_multiple == 1 else dropped / self.depth_multiple


class Transformer(TokenModel):
    """Embeddings, blocks, a final norm and the head."""

    def __init__(self, spec: TransformerSpec | UniversalSpec) -> None:
        super().__init__(spec, spec.width_multiple, spec.depth_multiple)
        learned = spec.positions == "learned"
        self.position_embedding = nn.Embedding(spec.context, spec.d_model) if learned else None
        self.blocks = nn.ModuleList(Block(spec) for _ in range(spec.n_layer))
        self.final_norm = nn.LayerNorm(spec.d_model)
        self.initialize()

    def features(self, tokens_BT: Tensor) -> Tensor:
        x_BTD = self.token_embedding(tokens_BT)
        if self.position_embedding is not None:
            x_BTD = x_BTD + self.position_embedding.weight[: tokens_BT.shape[1]]
        normed_BTD: Tensor = self.final_norm(self.through_blocks(self.dropout(x_BTD)))
        return normed_BTD

    def through_blocks(self, x_BTD: Tensor) -> Tensor:
        """One pass through all blocks."""
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return x_BTD

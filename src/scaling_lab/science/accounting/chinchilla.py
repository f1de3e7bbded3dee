"""The Transformer-XL family of Hoffmann et al. 2022, as its Table A9 counts it."""

from __future__ import annotations

from dataclasses import dataclass

from scaling_lab.science.accounting.conventions import Architecture, ForwardWork, require_positive


@dataclass(frozen=True)
class ChinchillaShape(Architecture):
    """N = n_layer (5 d_model d_attn + 2 d_model d_ff) + vocab d_model, with d_attn = n_head d_head.

    The rule that reproduces the 50 sizes of Table A9 to 0.8 %: queries, keys, values, output and the projection of
    relative positions, no biases and no norms. The table does not state it. d_attn may differ from d_model.
    """

    n_layer: int
    d_model: int
    n_head: int
    d_head: int
    d_ff: int
    context: int = 2048
    vocab_size: int = 32_000

    def __post_init__(self) -> None:
        require_positive(self, "n_layer", "d_model", "n_head", "d_head", "d_ff", "context", "vocab_size")

    @property
    def d_attn(self) -> int:
        """Width of all heads together."""
        return self.n_head * self.d_head

    @property
    def params_by_group(self) -> dict[str, int]:
        projection = self.n_layer * self.d_model * self.d_attn
        return {
            "embedding": self.vocab_size * self.d_model,
            "position": projection,
            "head": 0,  # tied
            "attention": 4 * projection,
            "feed_forward": self.n_layer * 2 * self.d_model * self.d_ff,
            "norms": 0,
            "biases": 0,
        }

    @property
    def params_non_embedding(self) -> int:
        """All but the token embedding: the projection of relative positions belongs to the blocks."""
        return self.params_total - self.vocab_size * self.d_model

    @property
    def forward_work(self) -> ForwardWork:
        return ForwardWork(
            weights=2 * self.params_non_embedding,
            unlisted=2 * self.params_by_group["position"],  # appendix F has four attention matrices
            scores=2 * self.n_layer * self.context * self.d_attn,
            softmax=3 * self.n_layer * self.n_head * self.context,
            head=2 * self.d_model * self.vocab_size,
        )

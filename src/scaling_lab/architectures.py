"""The models that can be trained, as parts of a RunSpec: Transformer, LSTM and Universal Transformer.

Each has only its own fields. `kind` tells them apart; it may be left out for a Transformer, whose ids are therefore as
old as the package.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from scaling_lab.frozen import Frozen
from scaling_lab.science.accounting import LSTMShape, Positions, Shape, UniversalShape

Kind = Literal["transformer", "lstm", "universal"]
Parametrization = Literal["standard", "mup", "completep"]


class _ModelSpec(Frozen):
    """What every model has."""

    n_layer: int = Field(ge=1)
    d_model: int = Field(ge=1)
    context: int = Field(ge=1, description="tokens of context")
    vocab_size: int = Field(ge=2)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    tied: bool = Field(default=True, description="the output head is the token embedding")

    @property
    def depth(self) -> int:
        """Layers that a token passes."""
        return self.n_layer


class _BlocksSpec(_ModelSpec):
    """What the models of Transformer blocks share: pre-norm attention and feed-forward with GELU."""

    n_head: int = Field(ge=1)
    d_ff: int = Field(ge=1)
    positions: Positions = "rotary"
    head_dim: int | None = Field(default=None, ge=1, description="width of a head; none: d_model / n_head")
    parametrization: Parametrization = "standard"
    base_width: int | None = Field(
        default=None, ge=1, description="mup, completep: the d_model that the rate was tuned at"
    )
    base_depth: int | None = Field(default=None, ge=1, description="completep: the layers that the rate was tuned at")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.head_dim is None and self.d_model % self.n_head:
            raise ValueError(f"n_head: {self.n_head} heads do not divide d_model = {self.d_model}")
        if self.positions == "rotary" and self.head_width % 2:
            width = f"{self.d_model} / {self.n_head}" if self.head_dim is None else str(self.head_dim)
            raise ValueError(f"positions: rotary needs an even head width, not {width}")
        return self

    @model_validator(mode="after")
    def _bases_of_parametrization(self) -> Self:
        if (self.parametrization == "standard") != (self.base_width is None):
            raise ValueError("base_width: needed for parametrization mup or completep, and for no other")
        if (self.parametrization == "completep") != (self.base_depth is not None):
            raise ValueError("base_depth: needed for parametrization completep, and for no other")
        return self

    @property
    def head_width(self) -> int:
        """Components of one head."""
        return self.head_dim or self.d_model // self.n_head

    @property
    def width_multiple(self) -> float:
        """m_d = d_model / base_width of muP and CompleteP; 1 in the standard parametrization."""
        return 1.0 if self.base_width is None else self.d_model / self.base_width

    @property
    def depth_multiple(self) -> float:
        """m_L = depth / base_depth of CompleteP; 1 in the others, and without layers."""
        return 1.0 if self.base_depth is None or not self.depth else self.depth / self.base_depth


class TransformerSpec(_BlocksSpec):
    """A decoder-only pre-norm Transformer: GPT-2, with learned or rotary positions. Without layers, a bigram model."""

    kind: Literal["transformer"] = "transformer"
    n_layer: int = Field(ge=0)

    @property
    def shape(self) -> Shape:
        """The same model as the accounting counts it."""
        return Shape(
            self.n_layer, self.d_model, self.n_head, self.d_ff, self.context, self.vocab_size, self.positions,
            self.head_dim, self.tied,
        )  # fmt: skip

    @property
    def slug(self) -> str:
        """Readable part of a run id."""
        return f"L{self.n_layer}d{self.d_model}"


class UniversalSpec(_BlocksSpec):
    """A Transformer recurrent in depth: its blocks are passed `reuse` times (Dehghani et al. 2018)."""

    kind: Literal["universal"]
    reuse: int = Field(ge=1, description="passes through the blocks")

    @property
    def depth(self) -> int:
        """Layers that a token passes."""
        return self.n_layer * self.reuse

    @property
    def shape(self) -> UniversalShape:
        """The same model as the accounting counts it."""
        return UniversalShape(
            self.n_layer, self.d_model, self.n_head, self.d_ff, self.context, self.vocab_size, self.positions,
            self.head_dim, self.tied, self.reuse,
        )  # fmt: skip

    @property
    def slug(self) -> str:
        """Readable part of a run id."""
        return f"universalL{self.n_layer}d{self.d_model}x{self.reuse}"


class LSTMSpec(_ModelSpec):
    """A stack of LSTM layers as wide as the embedding, whose state starts at zero in every context."""

    kind: Literal["lstm"]
    bptt_tokens: int | None = Field(
        default=None, ge=1, description="tokens that gradients flow back through; none: the whole context"
    )

    @model_validator(mode="after")
    def _chunks_fit(self) -> Self:
        if self.bptt_tokens and self.bptt_tokens >= self.context:
            raise ValueError(f"bptt_tokens: {self.bptt_tokens} is not less than the context, {self.context}; leave out")
        return self

    @property
    def shape(self) -> LSTMShape:
        """The same model as the accounting counts it."""
        return LSTMShape(self.n_layer, self.d_model, self.context, self.vocab_size, self.tied)

    @property
    def slug(self) -> str:
        """Readable part of a run id."""
        return f"lstmL{self.n_layer}d{self.d_model}"


def _kind(value: Any) -> Any:
    return value.get("kind", "transformer") if isinstance(value, dict) else getattr(value, "kind", None)


ArchitectureSpec = Annotated[
    Annotated[TransformerSpec, Tag("transformer")]
    | Annotated[LSTMSpec, Tag("lstm")]
    | Annotated[UniversalSpec, Tag("universal")],
    Discriminator(
        _kind,
        custom_error_type="unknown_architecture",
        custom_error_message="kind: allowed are transformer, lstm, universal",
    ),
]
"""Any of the models, told apart by `kind`."""

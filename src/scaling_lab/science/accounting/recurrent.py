"""Models that use a weight more than once per token or per sequence: Universal Transformers and LSTMs."""

from __future__ import annotations

from dataclasses import dataclass

from scaling_lab.science.accounting.conventions import Architecture, ForwardWork, require_positive
from scaling_lab.science.accounting.transformer import Shape


@dataclass(frozen=True)
class UniversalShape(Shape):
    """A Transformer recurrent in depth: its `n_layer` blocks are passed `reuse` times (Dehghani et al. 2018).

    Parameters are counted once (`params_non_embedding`) or as often as they are used (`params_with_reuse`), which is
    the count that the compute follows (Kaplan et al. 2020, appendix D.2). Passes are told apart without further
    parameters.
    """

    reuse: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "reuse")

    @property
    def params_with_reuse(self) -> int:
        return self.reuse * self.params_non_embedding

    @property
    def forward_work(self) -> ForwardWork:
        once = super().forward_work
        return ForwardWork(
            weights=self.reuse * once.weights,
            unlisted=0,
            scores=self.reuse * once.scores,
            softmax=self.reuse * once.softmax,
            head=once.head,
        )


@dataclass(frozen=True)
class LSTMShape(Architecture):
    """A stack of LSTM layers as wide as the embedding; biases as torch has them, two per gate; the head may be tied.

    `context` is the length of its training sequences, which costs an LSTM nothing: there are no attention scores, so
    `6n`, `kaplan` and `deepseek` agree.
    """

    n_layer: int
    d_model: int
    context: int
    vocab_size: int
    tied: bool = True

    def __post_init__(self) -> None:
        require_positive(self, "n_layer", "d_model", "context", "vocab_size")

    @property
    def params_by_group(self) -> dict[str, int]:
        embedding = self.vocab_size * self.d_model
        return {
            "embedding": embedding,
            "position": 0,
            "head": 0 if self.tied else embedding,
            "gates": self.params_non_embedding,
            "norms": 0,
            "biases": self.n_layer * 8 * self.d_model,
        }

    @property
    def params_non_embedding(self) -> int:
        """8 n_layer d_model^2: weights of the four gates."""
        return self.n_layer * lstm_layer_params(self.d_model, self.d_model)

    @property
    def forward_work(self) -> ForwardWork:
        head = 2 * self.d_model * self.vocab_size
        return ForwardWork(weights=2 * self.params_non_embedding, unlisted=0, scores=0, softmax=0, head=head)


def lstm_layer_params(inputs: int, hidden: int) -> int:
    """4 h (h_in + h): weights of one LSTM layer, without biases."""
    return 4 * hidden * (inputs + hidden)

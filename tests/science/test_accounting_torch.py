"""LSTM and Universal Transformer counts against real torch modules and torch's own FLOP counter."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from scaling_lab.science.accounting import LSTMShape, UniversalShape

VOCABULARY, CONTEXT, BATCH = 50, 12, 2


class Lstm(nn.Module):
    """Cells written out step by step, because the counter does not see into the fused layer."""

    def __init__(self, n_layer: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.cells = nn.ModuleList(nn.LSTMCell(width, width) for _ in range(n_layer))

    def forward(self, tokens: Tensor) -> Tensor:
        inputs = self.embedding(tokens)
        for cell in self.cells:
            state = (inputs.new_zeros(len(tokens), inputs.shape[-1]).requires_grad_(),) * 2
            outputs = []
            for step in range(CONTEXT):
                state = cell(inputs[:, step], state)
                outputs.append(state[0])
            inputs = torch.stack(outputs, dim=1)
        return inputs @ self.embedding.weight.T


class Universal(nn.Module):
    """torch's own pre-norm blocks, passed several times."""

    def __init__(self, n_layer: int, width: int, heads: int, inner: int, reuse: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.position = nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, inner, dropout=0, batch_first=True, norm_first=True)
            for _ in range(n_layer)
        )
        self.norm = nn.LayerNorm(width)
        self.reuse = reuse

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embedding(tokens) + self.position(torch.arange(CONTEXT))
        for _ in range(self.reuse):
            for block in self.blocks:
                hidden = block(hidden)
        return self.norm(hidden) @ self.embedding.weight.T


def counted(model: nn.Module) -> tuple[int, int]:
    """Trainable parameters, and FLOPs of a forward and a backward pass."""
    tokens = torch.zeros((BATCH, CONTEXT), dtype=torch.long)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(tokens).sum().backward()
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops()


@pytest.mark.parametrize(("n_layer", "width"), [(1, 8), (2, 16), (4, 24)])
def test_lstm(n_layer: int, width: int) -> None:
    shape = LSTMShape(n_layer, width, CONTEXT, VOCABULARY)
    params, flops = counted(Lstm(n_layer, width))
    assert params == shape.params_total
    assert flops == shape.flops_per_token("matmul") * BATCH * CONTEXT


@pytest.mark.parametrize(("n_layer", "width", "heads", "reuse"), [(1, 8, 1, 2), (2, 24, 3, 4)])
def test_universal_transformer(n_layer: int, width: int, heads: int, reuse: int) -> None:
    shape = UniversalShape(n_layer, width, heads, 4 * width, CONTEXT, VOCABULARY, "learned", reuse=reuse)
    params, flops = counted(Universal(n_layer, width, heads, 4 * width, reuse))
    assert params == shape.params_total
    assert flops == shape.flops_per_token("matmul") * BATCH * CONTEXT

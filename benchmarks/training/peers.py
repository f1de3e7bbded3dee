"""What others would run: nanoGPT's model and loop rewritten plainly, Hugging Face's GPT-2, litgpt's GPT.

Each is a function of a shape that gives (model, loss of a batch of windows), in the form that its project trains it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import functional

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Size:
    """A Transformer and the tokens of its optimizer step; d_ff = 4 d_model."""

    n_layer: int
    d_model: int
    n_head: int
    batch_tokens: int
    context: int
    vocab_size: int


class NanoBlock(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.n_head = size.n_head
        self.ln_1, self.ln_2 = nn.LayerNorm(size.d_model), nn.LayerNorm(size.d_model)
        self.c_attn, self.c_proj = nn.Linear(size.d_model, 3 * size.d_model), nn.Linear(size.d_model, size.d_model)
        self.c_fc, self.mlp_proj = nn.Linear(size.d_model, 4 * size.d_model), nn.Linear(4 * size.d_model, size.d_model)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = (
            y.view(b, t, self.n_head, c // self.n_head).transpose(1, 2)
            for y in self.c_attn(self.ln_1(x)).split(c, dim=2)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).contiguous().view(b, t, c))
        return x + self.mlp_proj(functional.gelu(self.c_fc(self.ln_2(x))))


class NanoGPT(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(size.vocab_size, size.d_model), nn.Embedding(size.context, size.d_model)
        self.blocks = nn.ModuleList(NanoBlock(size) for _ in range(size.n_layer))
        self.ln_f, self.lm_head = nn.LayerNorm(size.d_model), nn.Linear(size.d_model, size.vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight
        nn.init.normal_(self.wte.weight, std=0.02)

    def forward(self, idx: Tensor, targets: Tensor) -> Tensor:
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1], device=idx.device))
        for block in self.blocks:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return functional.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)


def nanogpt(size: Size) -> tuple[nn.Module, Loss]:
    model = NanoGPT(size)
    return model, lambda windows: model(windows[:, :-1].contiguous(), windows[:, 1:].contiguous())


def hugging_face(size: Size) -> tuple[nn.Module, Loss]:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=size.vocab_size,
        n_positions=size.context,
        n_embd=size.d_model,
        n_layer=size.n_layer,
        n_head=size.n_head,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
    )
    model = GPT2LMHeadModel(config)
    return model, lambda windows: model(input_ids=windows[:, :-1], labels=windows[:, :-1]).loss


def litgpt(size: Size) -> tuple[nn.Module, Loss]:
    from litgpt.config import Config
    from litgpt.model import GPT
    from litgpt.utils import chunked_cross_entropy

    config = Config(
        block_size=size.context,
        padded_vocab_size=size.vocab_size,
        n_layer=size.n_layer,
        n_head=size.n_head,
        n_embd=size.d_model,
        parallel_residual=False,
        rotary_percentage=1.0,
    )
    model = GPT(config)
    return model, lambda windows: chunked_cross_entropy(model(windows[:, :-1]), windows[:, 1:], chunk_size=0)


def available() -> dict[str, Callable[[Size], tuple[nn.Module, Loss]]]:
    """The peers that are installed."""
    peers = {
        "nanogpt": (nanogpt, "torch"),
        "hugging face": (hugging_face, "transformers"),
        "litgpt": (litgpt, "litgpt"),
    }
    return {name: build for name, (build, package) in peers.items() if find_spec(package)}

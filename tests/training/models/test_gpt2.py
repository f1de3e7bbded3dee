"""Our Transformer with learned positions against Hugging Face's GPT-2, which shares no code with it."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from scaling_lab.architectures import TransformerSpec
from scaling_lab.science.accounting.published_shapes import GPT2_SHAPES
from scaling_lab.training.models import build_model
from scaling_lab.training.models.head import token_losses

# Names of Hugging Face and ours; its linear maps are stored transposed.
NAMES = {
    "transformer.wte": "token_embedding",
    "transformer.wpe": "position_embedding",
    "transformer.ln_f": "final_norm",
    "transformer.h": "blocks",
    "ln_1": "attention_norm",
    "attn.c_attn": "attention.qkv",
    "attn.c_proj": "attention.project",
    "ln_2": "feed_forward_norm",
    "mlp.c_fc": "feed_forward.expand",
    "mlp.c_proj": "feed_forward.project",
}
CONTEXT, VOCABULARY = 24, 97


def gpt2(n_layer: int, d_model: int, n_head: int, context: int = CONTEXT, vocabulary: int = VOCABULARY) -> nn.Module:
    """With the exact GELU, which is ours; OpenAI's weights use its tanh approximation."""
    sizes = {"n_layer": n_layer, "n_embd": d_model, "n_head": n_head, "n_positions": context, "vocab_size": vocabulary}
    return GPT2LMHeadModel(GPT2Config(**sizes, activation_function="gelu")).eval()


def renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    ours = {}
    for name, value in weights.items():
        transposed = name.split(".")[-2].startswith("c_") and value.dim() == 2
        for theirs, own in NAMES.items():
            name = name.replace(theirs, own)
        ours[name] = value.T if transposed else value
    return ours


@pytest.mark.parametrize(("n_layer", "d_model", "n_head"), [(1, 16, 1), (3, 48, 4)])
def test_the_same_weights_give_the_same_logits_and_loss(n_layer: int, d_model: int, n_head: int) -> None:
    torch.manual_seed(0)
    theirs = gpt2(n_layer, d_model, n_head)
    for parameter in theirs.parameters():  # biases and norms away from 0 and 1, so that an error in them shows
        nn.init.normal_(parameter, std=0.3)
    spec = TransformerSpec(
        n_layer=n_layer,
        d_model=d_model,
        n_head=n_head,
        d_ff=4 * d_model,
        context=CONTEXT,
        vocab_size=VOCABULARY,
        positions="learned",
    )
    ours = build_model(spec).eval()
    weights = {name: p.detach() for name, p in theirs.named_parameters()}
    ours.load_state_dict(renamed(weights))
    tokens = torch.randint(0, VOCABULARY, (5, CONTEXT + 1))
    with torch.no_grad():
        logits = ours(tokens[:, :-1])
        expected = theirs(tokens[:, :-1]).logits
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    loss = functional.cross_entropy(expected.flatten(0, 1), tokens[:, 1:].flatten())
    torch.testing.assert_close(token_losses(logits, tokens[:, 1:]).mean(), loss, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", GPT2_SHAPES)
def test_published_sizes_have_its_parameters(name: str) -> None:
    shape = GPT2_SHAPES[name]
    with torch.device("meta"):
        theirs = gpt2(shape.n_layer, shape.d_model, shape.n_head, shape.context, shape.vocab_size)
    assert sum(p.numel() for p in theirs.parameters()) == shape.params_total

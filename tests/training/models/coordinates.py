"""The coordinate check (Yang et al. 2022, appendix D.1): how the sizes of activations grow with a model after a few
steps of Adam."""

import math
from typing import Any

import torch
from tests.training.models.specs import CONTEXT, VOCABULARY, architecture

from scaling_lab.spec import OptimizerSpec
from scaling_lab.training.models import build_model
from scaling_lab.training.models.head import token_losses
from scaling_lab.training.optimizer import build_optimizer, set_learning_rate

RATE, STEPS = 0.01, 4


def sizes_after_training(**fields: Any) -> dict[str, float]:
    """Mean size of the entries that the parts of the last block, the block and the head put out after four steps."""
    torch.manual_seed(0)
    model = build_model(architecture(**fields))
    optimizer = build_optimizer(model, OptimizerSpec(learning_rate=RATE, weight_decay=0))
    set_learning_rate(optimizer, RATE)
    tokens = torch.randint(0, VOCABULARY, (8, CONTEXT + 1), generator=torch.Generator().manual_seed(1))
    for _ in range(STEPS):
        optimizer.zero_grad()
        token_losses(model(tokens[:, :-1]), tokens[:, 1:]).mean().backward()
        optimizer.step()
    sizes: dict[str, float] = {}
    last = f"blocks.{model.spec.n_layer - 1}"
    for name in ("attention.project", "feed_forward.project", ""):
        part = model.get_submodule(f"{last}.{name}".rstrip("."))
        named = name or "block"
        part.register_forward_hook(lambda _m, _i, out, name=named: sizes.update({name: out.abs().mean().item()}))
    sizes["logits"] = model(tokens[:, :-1]).abs().mean().item()
    return sizes


def width(d_model: int) -> dict[str, int]:
    """Fields of a model of that width."""
    return {"d_model": d_model, "n_head": 4, "d_ff": 4 * d_model}


def growth(small: dict[str, Any], large: dict[str, Any], factor: float, **fields: Any) -> dict[str, float]:
    """Exponent by which each part's size grows from one model to one that is `factor` as large."""
    before, after = sizes_after_training(**small, **fields), sizes_after_training(**large, **fields)
    return {name: math.log(after[name] / before[name]) / math.log(factor) for name in after}

"""The coordinate check of muP (Yang et al. 2022, appendix D.1; shared science D.10): what does not grow with width."""

import math

import pytest
import torch
from tests.training.models.specs import CONTEXT, VOCABULARY, architecture

from scaling_lab.spec import OptimizerSpec
from scaling_lab.training.models import build_model
from scaling_lab.training.models.head import token_losses
from scaling_lab.training.optimizer import build_optimizer, set_learning_rate

BASE, WIDE, RATE = 32, 256, 0.01
PARTS = ("blocks.1.attention.project", "blocks.1.feed_forward.project", "blocks.1")


def sizes_after_training(width: int, **fields: object) -> dict[str, float]:
    """Mean size of the entries that each part puts out after four steps of Adam."""
    torch.manual_seed(0)
    model = build_model(architecture(d_model=width, n_head=4, d_ff=4 * width, **fields))
    optimizer = build_optimizer(model, OptimizerSpec(learning_rate=RATE, weight_decay=0))
    set_learning_rate(optimizer, RATE)
    tokens = torch.randint(0, VOCABULARY, (8, CONTEXT + 1), generator=torch.Generator().manual_seed(1))
    for _ in range(4):
        optimizer.zero_grad()
        token_losses(model(tokens[:, :-1]), tokens[:, 1:]).mean().backward()
        optimizer.step()
    sizes: dict[str, float] = {}
    for name in PARTS:
        part = model.get_submodule(name)
        part.register_forward_hook(lambda _m, _i, out, name=name: sizes.update({name: out.abs().mean().item()}))
    sizes["logits"] = model(tokens[:, :-1]).abs().mean().item()
    return sizes


def growth(**fields: object) -> dict[str, float]:
    """Exponent of width by which each part's size grows."""
    narrow, wide = sizes_after_training(BASE, **fields), sizes_after_training(WIDE, **fields)
    return {name: math.log(wide[name] / narrow[name]) / math.log(WIDE / BASE) for name in wide}


@pytest.mark.parametrize("kind", [{}, {"kind": "universal", "reuse": 2}], ids=["transformer", "universal"])
def test_activations_do_not_grow_with_width_under_mup_and_do_without(kind: dict[str, object]) -> None:
    mup, standard = growth(parametrization="mup", base_width=BASE, **kind), growth(**kind)
    assert all(exponent < 0.1 for exponent in mup.values()), mup
    assert all(standard[name] > 0.5 for name in PARTS), standard
    assert standard["logits"] > 0.15, standard


def test_at_the_base_width_only_attention_differs() -> None:
    torch.manual_seed(0)
    mup = build_model(architecture(parametrization="mup", base_width=24))
    torch.manual_seed(0)
    standard = build_model(architecture())
    assert all(torch.equal(a, b) for a, b in zip(mup.parameters(), standard.parameters(), strict=True))
    assert mup.learning_rate_factors == standard.learning_rate_factors == {}
    assert (mup.blocks[0].attention.scale, standard.blocks[0].attention.scale) == (1 / 8, None)


def test_embeddings_start_alike_at_every_width_and_hidden_matrices_by_fan_in() -> None:
    for width in (64, 256):
        model = build_model(architecture(d_model=width, n_head=4, d_ff=128, parametrization="mup", base_width=32))
        assert model.token_embedding.weight.std().item() == pytest.approx(32**-0.5, rel=0.05)
        assert model.blocks[0].feed_forward.expand.weight.std().item() == pytest.approx(width**-0.5, rel=0.05)
        assert set(model.learning_rate_factors.values()) == {32 / width}

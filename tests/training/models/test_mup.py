"""The coordinate check of muP (Yang et al. 2022, appendix D.1; shared science D.10): what does not grow with width."""

from typing import Any

import pytest
import torch
from tests.training.models.coordinates import growth, width
from tests.training.models.specs import architecture

from scaling_lab.training.models import build_model
from scaling_lab.training.models.base import Factors

BASE, WIDE = 32, 256


def by_width(**fields: Any) -> dict[str, float]:
    return growth(width(BASE), width(WIDE), WIDE / BASE, **fields)


@pytest.mark.parametrize("kind", [{}, {"kind": "universal", "reuse": 2}], ids=["transformer", "universal"])
def test_activations_do_not_grow_with_width_under_mup_and_do_without(kind: dict[str, object]) -> None:
    mup, standard = by_width(parametrization="mup", base_width=BASE, **kind), by_width(**kind)
    assert all(exponent < 0.1 for exponent in mup.values()), mup
    assert all(size > 0.5 for name, size in standard.items() if name != "logits"), standard
    assert standard["logits"] > 0.15, standard


def test_at_the_base_width_only_attention_differs() -> None:
    torch.manual_seed(0)
    mup = build_model(architecture(parametrization="mup", base_width=24))
    torch.manual_seed(0)
    standard = build_model(architecture())
    assert all(torch.equal(a, b) for a, b in zip(mup.parameters(), standard.parameters(), strict=True))
    assert {mup.optimizer_factors(name) for name, _ in mup.named_parameters()} == {Factors()}
    assert (mup.blocks[0].attention.scale, standard.blocks[0].attention.scale) == (1 / 8, None)


def test_embeddings_start_alike_at_every_width_and_hidden_matrices_by_fan_in() -> None:
    for wide in (64, 256):
        model = build_model(architecture(d_model=wide, n_head=4, d_ff=128, parametrization="mup", base_width=32))
        assert model.token_embedding.weight.std().item() == pytest.approx(32**-0.5, rel=0.05)
        assert model.blocks[0].feed_forward.expand.weight.std().item() == pytest.approx(wide**-0.5, rel=0.05)
        factors = {model.optimizer_factors(name) for name, _ in model.named_parameters()}
        assert factors == {Factors(), Factors(rate=32 / wide)}

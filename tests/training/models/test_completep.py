"""CompleteP (Dey et al. 2025, Table 1): the coordinate check over width and depth, and every multiplier."""

from typing import Any

import pytest
import torch
from tests.training.models.coordinates import growth, width
from tests.training.models.specs import architecture

from scaling_lab.spec import OptimizerSpec
from scaling_lab.training.models import build_model
from scaling_lab.training.models.base import Factors
from scaling_lab.training.optimizer import build_optimizer

BASE_WIDTH, BASE_DEPTH, FACTOR = 32, 2, 8
COMPLETEP = {"parametrization": "completep", "base_width": BASE_WIDTH, "base_depth": BASE_DEPTH}
MUP = {"parametrization": "mup", "base_width": BASE_WIDTH}
BRANCHES = ("attention.project", "feed_forward.project")


def by_depth(**fields: Any) -> dict[str, float]:
    base = width(BASE_WIDTH)
    shallow, deep = {"n_layer": BASE_DEPTH}, {"n_layer": FACTOR * BASE_DEPTH}
    return growth(shallow, deep, FACTOR, **base, **fields)


def by_width(**fields: Any) -> dict[str, float]:
    return growth(width(BASE_WIDTH), width(FACTOR * BASE_WIDTH), FACTOR, **fields)


def test_the_stream_grows_with_depth_in_other_parametrizations_and_not_in_this_one() -> None:
    completep, mup, standard = by_depth(**COMPLETEP), by_depth(**MUP), by_depth()
    assert abs(completep["block"]) < 0.1, completep
    assert abs(completep["logits"]) < 0.1, completep
    assert all(completep[name] < 0.3 for name in BRANCHES), completep
    assert mup["block"] > 0.8, mup
    assert standard["block"] > 0.8, standard


def test_activations_do_not_grow_with_width() -> None:
    completep, standard = by_width(**COMPLETEP), by_width()
    assert all(exponent < 0.1 for exponent in completep.values()), completep
    assert all(standard[name] > 0.5 for name in (*BRANCHES, "block")), standard


def test_passes_count_as_depth() -> None:
    universal = architecture(kind="universal", reuse=4, **COMPLETEP)
    assert (universal.depth, universal.depth_multiple) == (8, 4.0)
    assert architecture(n_layer=0, **COMPLETEP).depth_multiple == 1.0


def test_every_multiplier_is_that_of_table_1() -> None:
    model = build_model(architecture(d_model=128, n_head=4, d_ff=512, n_layer=6, **COMPLETEP))
    found = {name: model.optimizer_factors(name) for name, _ in model.named_parameters()}
    assert found["token_embedding.weight"] == found["final_norm.weight"] == Factors(epsilon=1 / 4)
    for name in ("blocks.5.attention_norm.weight", "blocks.0.feed_forward.expand.bias"):
        assert found[name] == Factors(epsilon=1 / 12)
    for name in ("attention.qkv", "attention.project", "feed_forward.expand", "feed_forward.project"):
        assert found[f"blocks.3.{name}.weight"] == Factors(rate=1 / 4, decay=4, epsilon=1 / 12)
    assert model.blocks[0].depth_multiple == 3
    assert model.blocks[0].attention.scale == 1 / 32


def test_the_optimizer_uses_them() -> None:
    model = build_model(architecture(d_model=128, n_head=4, d_ff=512, n_layer=6, **COMPLETEP))
    optimizer = build_optimizer(model, OptimizerSpec(learning_rate=0.01, weight_decay=0.1, epsilon=1.2e-7))
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    hidden, embedding = groups[id(model.blocks[0].attention.qkv.weight)], groups[id(model.token_embedding.weight)]
    assert (hidden["weight_decay"], hidden["rate_factor"], hidden["eps"]) == pytest.approx((0.4, 0.25, 1e-8))
    assert (embedding["weight_decay"], embedding["rate_factor"], embedding["eps"]) == pytest.approx((0.1, 1, 3e-8))
    assert groups[id(model.final_norm.weight)]["weight_decay"] == 0


def test_branches_start_alike_at_every_depth_and_are_divided_by_it() -> None:
    deep, base = (build_model(architecture(n_layer=layers, **COMPLETEP)) for layers in (16, BASE_DEPTH))
    stds = [model.blocks[0].feed_forward.project.weight.std().item() for model in (deep, base)]
    assert stds[0] == pytest.approx(stds[1], rel=0.1)
    x = torch.randn(1, 4, 24)
    block = deep.blocks[0]
    attended = block.attention(block.attention_norm(x)) / 8
    fed = block.feed_forward(block.feed_forward_norm(x + attended)) / 8
    assert torch.allclose(block(x), x + attended + fed, atol=1e-6)


def test_at_the_base_it_is_mup_but_for_nothing() -> None:
    models = []
    for fields in (COMPLETEP | {"base_width": 24}, MUP | {"base_width": 24}):
        torch.manual_seed(0)
        models.append(build_model(architecture(**fields)))
    tokens = torch.arange(16)[None, :]
    assert torch.equal(models[0](tokens), models[1](tokens))
    assert {models[0].optimizer_factors(name) for name, _ in models[0].named_parameters()} == {Factors()}

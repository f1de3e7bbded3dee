import json
from typing import Any

import pytest
from pydantic import ValidationError

from scaling_lab.architectures import LSTMSpec, TransformerSpec, UniversalSpec
from scaling_lab.science.accounting import LSTMShape, Shape, UniversalShape
from scaling_lab.spec import RunSpec, canonical_json
from tests.conftest import run_spec

SIZE: dict[str, Any] = {"n_layer": 2, "d_model": 16, "context": 32, "vocab_size": 257}
BLOCKS: dict[str, Any] = SIZE | {"n_head": 2, "d_ff": 64}


def with_architecture(fields: dict[str, Any]) -> RunSpec:
    return run_spec(architecture=fields)


def test_a_kind_that_is_written_out_changes_no_transformer() -> None:
    spec = with_architecture(BLOCKS)
    assert with_architecture(BLOCKS | {"kind": "transformer"}).run_id == spec.run_id
    assert "kind" not in json.loads(canonical_json(spec))["architecture"]


@pytest.mark.parametrize(
    ("fields", "kind", "shape", "slug"),
    [
        (BLOCKS, TransformerSpec, Shape(2, 16, 2, 64, 32, 257, "rotary"), "L2d16-"),
        (
            BLOCKS | {"head_dim": 4, "tied": False, "positions": "learned"},
            TransformerSpec,
            Shape(2, 16, 2, 64, 32, 257, "learned", 4, tied=False),
            "L2d16-",
        ),
        (SIZE | {"kind": "lstm"}, LSTMSpec, LSTMShape(2, 16, 32, 257), "lstmL2d16-"),
        (
            BLOCKS | {"kind": "universal", "reuse": 4},
            UniversalSpec,
            UniversalShape(2, 16, 2, 64, 32, 257, "rotary", reuse=4),
            "universalL2d16x4-",
        ),
    ],
)
def test_each_kind_has_its_shape_and_slug_and_survives_json(
    fields: dict[str, Any], kind: type, shape: Shape | LSTMShape, slug: str
) -> None:
    spec = with_architecture(fields)
    assert type(spec.architecture) is kind
    assert spec.architecture.shape == shape
    assert spec.run_id.startswith(slug)
    assert RunSpec.from_json(canonical_json(spec)) == spec


VARIANTS = [
    {"tied": False},
    {"head_dim": 4},
    {"parametrization": "mup", "base_width": 8},
    {"parametrization": "mup", "base_width": 16},
    {"parametrization": "completep", "base_width": 16, "base_depth": 1},
    {"parametrization": "completep", "base_width": 16, "base_depth": 2},
    {"kind": "universal", "reuse": 2},
    {"kind": "universal", "reuse": 4},
    {"kind": "lstm"},
    {"kind": "lstm", "bptt_tokens": 8},
]


def test_every_variant_is_another_run() -> None:
    fields = [(SIZE if v.get("kind") == "lstm" else BLOCKS) | v for v in VARIANTS]
    assert len({with_architecture(each).run_id for each in [BLOCKS, *fields]}) == len(VARIANTS) + 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (BLOCKS | {"n_head": 3}, "n_head: 3 heads do not divide d_model = 16"),
        (BLOCKS | {"n_head": 16}, "positions: rotary needs an even head width, not 16 / 16"),
        (BLOCKS | {"head_dim": 3}, "positions: rotary needs an even head width, not 3"),
        (BLOCKS | {"n_layer": -1}, r"transformer\.n_layer\n.*greater than or equal to 0"),
        (BLOCKS | {"kind": "universal", "reuse": 2, "n_layer": 0}, r"universal\.n_layer\n.*greater than or equal to 1"),
        (BLOCKS | {"kind": "universal"}, r"universal\.reuse\n.*required"),
        (SIZE | {"kind": "lstm", "n_layer": 0}, r"lstm\.n_layer\n.*greater than or equal to 1"),
        (BLOCKS | {"kind": "lstm"}, r"lstm\.n_head\n.*not permitted"),
        (SIZE | {"kind": "lstm", "bptt_tokens": 32}, "bptt_tokens: 32 is not less than the context, 32"),
        (BLOCKS | {"reuse": 2}, r"transformer\.reuse\n.*not permitted"),
        (BLOCKS | {"kind": "gru"}, "kind: allowed are transformer, lstm, universal"),
        (BLOCKS | {"parametrization": "mup"}, "base_width: needed for parametrization mup"),
        (BLOCKS | {"base_width": 8}, "base_width: needed for parametrization mup or completep, and for no other"),
        (BLOCKS | {"parametrization": "completep", "base_width": 8}, "base_depth: needed for parametrization comp"),
        (BLOCKS | {"base_depth": 2}, "base_depth: needed for parametrization completep, and for no other"),
        (BLOCKS | {"parametrization": "ntk"}, "'standard', 'mup' or 'completep'"),
    ],
)
def test_models_that_cannot_be_built_are_refused_with_the_field(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        with_architecture(fields)

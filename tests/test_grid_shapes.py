"""Which models the shapes of a grid and the recipe stand for."""

from typing import Any

import pytest

from scaling_lab.architectures import LSTMSpec, TransformerSpec, UniversalSpec
from scaling_lab.config import Config, StudyConfig, parse_config
from scaling_lab.errors import ConfigError
from scaling_lab.grid import expand_study
from scaling_lab.spec import RunSpec


def expand(shapes: list[Any], vary: dict[str, list[Any]] | None = None, **training: Any) -> list[RunSpec]:
    block = {"shapes": shapes, "tokens": [100_000], "vary": vary or {}}
    raw = {"question": "Which models are these?", "grid": [block], "fits": ["params"], "figures": []}
    study = parse_config(StudyConfig, raw, "x.yaml")
    return list(expand_study("x", study, parse_config(Config, {"training": training}, "config")).values())


def sizes(spec: RunSpec) -> tuple[int, ...]:
    a = spec.architecture
    assert isinstance(a, TransformerSpec)
    return a.n_layer, a.d_model, a.n_head, a.head_width, a.d_ff


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt2", (12, 768, 12, 64, 3072)),
        ("gpt2-xl", (48, 1600, 25, 64, 6400)),
        ("hoffmann-44m", (8, 512, 8, 64, 2048)),
        ("hoffmann-3530m", (36, 2688, 22, 128, 10752)),  # 22 heads of 128 are wider than the model
        ("chinchilla", (80, 8192, 64, 128, 32768)),
    ],
)
def test_published_models_by_name(name: str, expected: tuple[int, ...]) -> None:
    (spec,) = expand([name])
    assert sizes(spec) == expected


def test_a_pair_a_name_and_a_mapping_of_one_model_are_one_run() -> None:
    entries = ["gpt2", [12, 768], {"n_layer": 12, "d_model": 768, "n_head": 12, "head_dim": 64, "d_ff": 3072}]
    assert len(expand(entries, head_dim=64)) == 1


def test_a_sweep_of_proportions_at_equal_size() -> None:
    """Kaplan et al. 2020, Fig 5: feed-forward ratio, aspect and heads, in one block of a study."""
    mappings = [
        {"n_layer": 2, "d_model": 64, "n_head": 4, "d_ff": 256},
        {"n_layer": 2, "d_model": 64, "n_head": 2, "d_ff": 256},
        {"n_layer": 8, "d_model": 32, "n_head": 2, "d_ff": 128},
        {"n_layer": 2, "d_model": 80, "n_head": 5, "d_ff": 147},
    ]
    params = [spec.architecture.shape.params_non_embedding for spec in expand(mappings)]
    assert len(params) == 4
    assert max(params) <= 1.01 * min(params)


def test_keys_of_the_recipe_can_vary() -> None:
    ratios = expand([[1, 16]], {"d_ff_ratio": [1, 4]})
    assert [sizes(spec)[-1] for spec in ratios] == [16, 64]
    heads = expand([[1, 48]], {"head_dim": [12, 24]})
    assert [sizes(spec)[2] for spec in heads] == [4, 2]
    assert [spec.architecture.tied for spec in expand([[1, 16]], {"tied": [True, False]})] == [True, False]


def test_architectures_can_vary() -> None:
    transformer, lstm, universal = expand(
        [[2, 16]], {"architecture": ["transformer", "lstm", "universal"]}, reuse=4, bptt_tokens=32
    )
    assert type(transformer.architecture) is TransformerSpec
    assert isinstance(lstm.architecture, LSTMSpec)
    assert lstm.architecture.bptt_tokens == 32
    assert isinstance(universal.architecture, UniversalSpec)
    reuses = expand([[2, 16]], {"reuse": [2, 4, 8]}, architecture="universal")
    assert [spec.architecture.shape.params_with_reuse for spec in reuses] == [2 * 6144, 4 * 6144, 8 * 6144]
    assert len(expand([[2, 16]], {"reuse": [2, 4, 8]})) == 1  # a Transformer has no such field


def test_mup_has_one_rate_for_all_widths() -> None:
    mup = {"parametrization": ["mup"], "learning_rate.params_exponent": [0], "base_width": [32]}
    narrow, wide = expand([[1, 32], [1, 128]], mup)
    assert narrow.optimizer.learning_rate == wide.optimizer.learning_rate
    assert isinstance(wide.architecture, TransformerSpec)
    assert wide.architecture.width_multiple == 4


def test_completep_has_one_rate_for_all_widths_and_depths() -> None:
    bases = {"base_width": [32], "base_depth": [2]}
    small, large = expand(
        [[2, 32], [6, 128]], {"parametrization": ["completep"], "learning_rate.params_exponent": [0], **bases}
    )
    assert small.optimizer.learning_rate == large.optimizer.learning_rate
    assert isinstance(large.architecture, TransformerSpec)
    assert (large.architecture.width_multiple, large.architecture.depth_multiple) == (4, 3)


@pytest.mark.parametrize(
    ("shapes", "training", "message"),
    [
        (["gpt3"], {}, r"shapes\.0: no such model; allowed: gpt2, .*, chinchilla, gopher, hoffmann-44m to .*'gpt3'"),
        ([[1, 2, 3]], {}, r"shapes\.0: .*\[1, 2, 3\]"),
        ([[1, 0]], {}, r"shapes\.0\.d_model: .*greater than or equal to 1 \(got 0\)"),
        ([{"n_layer": 1, "d_model": 8, "heads": 2}], {}, r"shapes\.0\.heads: unknown key"),
        ([{"n_layer": 1, "d_model": 8, "head_dim": 2}], {}, "head_dim: give `n_head` as well"),
        ([{"n_layer": 1, "d_model": 8, "n_head": 3}], {}, "n_head: 3 heads do not divide d_model = 8"),
        ([[0, 8]], {"architecture": "lstm"}, r"n_layer: Input should be greater than or equal to 1 \(got 0\)"),
        (["gpt2"], {"architecture": "lstm"}, "shapes: n_head is not of an lstm"),
        ([[1, 8]], {"architecture": "lstm", "bptt_tokens": 128}, "bptt_tokens: 128 is not less than the context, 128"),
        ([[1, 8]], {"parametrization": "mup"}, r"learning_rate.params_exponent 0"),
        (
            [[1, 8]],
            {"parametrization": "mup", "learning_rate": {"params_exponent": 0}},
            "base_width: needed for parametrization mup",
        ),
        (
            [[1, 8]],
            {"architecture": "lstm", "parametrization": "mup", "learning_rate": {"params_exponent": 0}},
            "training.parametrization: mup is not for an lstm",
        ),
        ([[1, 8]], {"architecture": "rnn"}, r"training.architecture: .*'transformer', 'lstm' or 'universal'"),
    ],
)
def test_shapes_that_cannot_be_are_named(shapes: list[Any], training: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        expand(shapes, **training)

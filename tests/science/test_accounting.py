"""Parameters and FLOPs against independently published counts (papers.md F1, F2, F12)."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_lab.science.accounting import (
    FLOPS_CONVENTIONS,
    PARAMS_CONVENTIONS,
    Architecture,
    ChinchillaShape,
    LSTMShape,
    Shape,
    UniversalShape,
    lstm_layer_params,
    pf_days,
)
from scaling_lab.science.accounting.published_shapes import GPT2_SHAPES, PUBLISHED_SHAPES, TABLE_A9


def gpt2(n_layer: int, d_model: int) -> Shape:
    return Shape(n_layer, d_model, 1, 4 * d_model, 1024, 50257)


@pytest.mark.parametrize(
    ("n_layer", "d_model", "non_embedding", "total"),
    [
        (1, 8, 768, 411_136),
        (2, 128, 393_216, 6_960_768),
        (4, 256, 3_145_728, 16_287_488),
        (8, 512, 25_165_824, 51_475_968),
        (12, 768, 84_934_656, 124_439_808),
        (24, 1024, 301_989_888, 354_823_168),
        (36, 1280, 707_788_800, 774_030_080),
        (48, 1600, 1_474_560_000, 1_557_611_200),
        (6, 4288, 1_323_859_968, 1_544_095_936),
        (207, 768, 1_465_122_816, 1_506_574_848),
    ],
)
def test_gpt2_counts(n_layer: int, d_model: int, non_embedding: int, total: int) -> None:
    shape = gpt2(n_layer, d_model)
    assert shape.params_non_embedding == non_embedding
    assert shape.params_total == total
    assert shape.params_with_head == non_embedding + 50257 * d_model
    assert shape.params("params_total") == total


@pytest.mark.parametrize(
    ("convention", "flops"),
    [
        ("6n", 509_607_936),
        ("kaplan", 566_231_040),
        ("deepseek", 622_854_144),
        ("head", 566_231_040 + 3 * 77_194_752),
        ("matmul", 622_854_144 + 3 * 77_194_752),
    ],
)
def test_flops_per_token_of_gpt2_small(convention: str, flops: int) -> None:
    assert gpt2(12, 768).flops_per_token(convention) == flops  # type: ignore[arg-type]


def test_hoffmann_appendix_f_per_sequence() -> None:
    """Written out as in the appendix, per sequence of T tokens, forward, times 3."""
    layers, width, heads, inner, length, vocab = 10, 640, 10, 2560, 2048, 32000
    layer = (
        2 * 3 * length * width * width
        + 2 * length * length * width
        + 3 * heads * length * length
        + 2 * length * length * width
        + 2 * length * width * width
        + 2 * length * (width * inner + width * inner)
    )
    forward = 2 * length * vocab * width + layers * layer + 2 * length * width * vocab
    shape = Shape(layers, width, heads, inner, length, vocab)
    assert shape.flops_per_token("hoffmann") * length == 3 * forward


@pytest.mark.parametrize(
    ("n_layer", "d_model", "head_share", "context_share", "embedding_share"),
    [(2, 128, 16.4, 0.667, 0.9435), (12, 768, 0.454, 0.111, 0.317), (48, 1600, 0.055, 0.053, 0.053)],
)
def test_what_6n_leaves_out(
    n_layer: int, d_model: int, head_share: float, context_share: float, embedding_share: float
) -> None:
    """papers.md E.7 and E.8: head and scores over 2N, embeddings over all parameters."""
    shape = gpt2(n_layer, d_model)
    work, groups = shape.forward_work, shape.params_by_group
    assert work.head / work.weights == pytest.approx(head_share, rel=3e-3, abs=6e-4)
    assert work.scores / work.weights == pytest.approx(context_share, abs=6e-4)
    embeddings = groups["embedding"] + groups["position"]
    assert embeddings / shape.params_total == pytest.approx(embedding_share, abs=6e-4)


def test_forward_flops_of_gpt2_small() -> None:
    """papers.md F2: Eq 2.2, the head, and the context term over 2N, which is context / (12 d_model)."""
    work = gpt2(12, 768).forward_work
    assert work.weights + work.scores == 188_743_680
    assert work.head == 77_194_752
    assert work.scores / work.weights == pytest.approx(1 / 9) == pytest.approx(1024 / (12 * 768))


def test_the_default_run_in_pf_days() -> None:
    tokens = 250_000 * 2**19
    assert tokens == 131_072_000_000
    small, large = (gpt2(*size).training_flops("6n", tokens) for size in ((12, 768), (48, 1600)))
    assert small == pytest.approx(6.6795e19, rel=1e-5)
    assert pf_days(small) == pytest.approx(0.7730941, rel=1e-6)
    assert large == pytest.approx(1.15964e21, rel=1e-5)
    assert pf_days(large) == pytest.approx(13.4217728, rel=1e-9)


def test_the_gpt2_sizes_by_name() -> None:
    totals = {name: shape.params_total for name, shape in GPT2_SHAPES.items()}
    assert totals == {
        "gpt2": 124_439_808,
        "gpt2-medium": 354_823_168,
        "gpt2-large": 774_030_080,
        "gpt2-xl": 1_557_611_200,
    }
    assert PUBLISHED_SHAPES["gpt2"] is GPT2_SHAPES["gpt2"]


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("chinchilla", 70_055_362_560),
        ("gopher", 279_697_162_240),
        ("hoffmann-44m", 43_646_976),
        ("hoffmann-74m", 73_728_000),
        ("hoffmann-306m", 305_397_760),
        ("hoffmann-6796m", 6_794_117_120),
        ("hoffmann-16183m", 16_180_838_400),
    ],
)
def test_hoffmann_models(name: str, total: int) -> None:
    assert PUBLISHED_SHAPES[name].params_total == total


def test_table_a9() -> None:
    """All 50 rows within 0.8 %, 36 of them within a million; with four attention matrices 5 to 8 % would be missing."""
    off = {millions: shape.params_total / 1e6 - millions for millions, shape in TABLE_A9.items()}
    assert len(off) == 50
    assert max(abs(difference) / millions for millions, difference in off.items()) < 0.0081
    assert sum(abs(difference) <= 1 for difference in off.values()) == 36
    assert all(shape.d_ff == 4 * shape.d_model for shape in TABLE_A9.values())
    largest = TABLE_A9[16183]
    assert largest.params_by_group["position"] * 4 == largest.params_by_group["attention"]
    assert TABLE_A9[12569].d_attn == 32 * 128 != TABLE_A9[12569].d_model


@pytest.mark.parametrize(
    ("millions", "printed", "recomputed", "literal"),
    [
        (74, 1.03, 1.025, 1.58),
        (306, 1.10, 1.101, 1.32),
        (552, 1.08, 1.083, 1.23),
        (1143, 1.04, 1.044, 1.15),
        (1593, 1.03, 1.033, 1.12),
        (6796, 0.99, 0.994, 1.03),
    ],
)
def test_table_a4(millions: int, printed: float, recomputed: float, literal: float) -> None:
    """FLOPs over 6 N D: as printed without embedding and head, and by the letter of appendix F (papers.md C.6).

    The third digits that papers.md recomputed differ by up to 0.0014 for the smallest: less softmax or more parameters.
    """
    shape = TABLE_A9[millions]
    ratio = shape.flops_per_token("hoffmann_a4") / (6 * shape.params_total)
    assert ratio == pytest.approx(printed, abs=0.01)
    assert ratio == pytest.approx(recomputed, abs=0.0015)
    assert shape.flops_per_token("hoffmann") / (6 * shape.params_total) == pytest.approx(literal, abs=0.006)


@pytest.mark.parametrize(("name", "tokens", "flops"), [("chinchilla", 1.4e12, 5.6825e23), ("gopher", 3e11, 4.7546e23)])
def test_literal_appendix_f_of_the_large_models(name: str, tokens: float, flops: float) -> None:
    assert PUBLISHED_SHAPES[name].training_flops("hoffmann", tokens) == pytest.approx(flops, rel=1e-5)


def test_nominal_6nd_of_the_large_models() -> None:
    """papers.md F12: what the paper quotes, from 70B and 280B."""
    assert PUBLISHED_SHAPES["chinchilla"].params_total * 6 * 1.4e12 == pytest.approx(5.88e23, rel=2e-3)
    assert PUBLISHED_SHAPES["gopher"].params_total * 6 * 3e11 == pytest.approx(5.04e23, rel=2e-3)


def test_hoffmann_shapes_pay_for_the_width_of_their_heads() -> None:
    """By hand, for d_attn = 8 beside d_model = 6."""
    shape = ChinchillaShape(n_layer=2, d_model=6, n_head=2, d_head=4, d_ff=24, context=16, vocab_size=100)
    assert shape.params_by_group["attention"] == 2 * 4 * 6 * 8
    assert shape.params_non_embedding == 2 * (5 * 6 * 8 + 2 * 6 * 24)
    assert shape.params_with_head == shape.params_non_embedding + 600
    assert shape.flops_by_group("hoffmann_a4") == {
        "blocks": 6 * 2 * (4 * 6 * 8 + 2 * 6 * 24),
        "scores": 6 * 2 * 16 * 8,
        "softmax": 9 * 2 * 2 * 16,
        "mixing": 6 * 2 * 16 * 8,
    }


def test_the_two_readings_of_appendix_f_differ_by_embedding_and_head() -> None:
    shape = gpt2(2, 128)
    literal, table = shape.flops_by_group("hoffmann"), shape.flops_by_group("hoffmann_a4")
    assert {name: literal[name] for name in table} == table
    assert set(literal) - set(table) == {"embedding", "head"}
    assert literal["embedding"] == literal["head"] == 6 * 128 * 50257


def test_lstm_by_hand() -> None:
    """Four gates see the input and the state: 4 h (h_in + h) weights, 8 h^2 here; two biases per gate, as torch."""
    assert lstm_layer_params(3, 5) == 4 * 5 * (3 + 5)
    lstm = LSTMShape(n_layer=3, d_model=16, context=64, vocab_size=100)
    assert lstm.params_by_group == {
        "embedding": 1600,
        "position": 0,
        "head": 0,
        "gates": 3 * 8 * 256,
        "norms": 0,
        "biases": 3 * 8 * 16,
    }
    assert lstm.flops_per_token("6n") == lstm.flops_per_token("deepseek") == 6 * 3 * 8 * 256
    assert lstm.flops_per_token("matmul") == lstm.flops_per_token("6n") + 6 * 1600


def test_universal_transformer_counts_parameters_once_and_work_every_time() -> None:
    once, deep = gpt2(2, 128), gpt2(6, 128)
    reused = UniversalShape(2, 128, 1, 512, 1024, 50257, "learned", reuse=3)
    assert reused.params_by_group == once.params_by_group
    assert reused.params_non_embedding == 393_216
    assert reused.params_with_reuse == 3 * 393_216 == deep.params_with_reuse
    for name, _ in FLOPS_CONVENTIONS:
        assert reused.flops_by_group(name) == deep.flops_by_group(name)


ARCHITECTURES: list[Architecture] = [
    *PUBLISHED_SHAPES.values(),
    LSTMShape(4, 32, 128, 1000),
    UniversalShape(2, 24, 3, 96, 64, 500, "rotary", reuse=4),
    Shape(2, 24, 3, 96, 64, 500, head_dim=12, tied=False),
    LSTMShape(1, 32, 128, 1000, tied=False),
]


@pytest.mark.parametrize("model", ARCHITECTURES, ids=lambda model: f"{type(model).__name__}-{model.params_total}")
def test_every_architecture_keeps_the_rules(model: Architecture) -> None:
    groups = model.params_by_group
    assert sum(groups.values()) == model.params_total
    assert {"embedding", "position", "head", "norms", "biases"} < set(groups)
    assert min(groups.values()) >= 0
    flops = {name: model.flops_per_token(name) for name, _ in FLOPS_CONVENTIONS}
    assert flops["6n"] == 6 * model.params_with_reuse
    assert flops["6n"] <= flops["kaplan"] <= flops["deepseek"] <= flops["matmul"]
    assert (
        flops["head"] - flops["kaplan"] == flops["matmul"] - flops["deepseek"] == 6 * model.d_model * model.vocab_size
    )
    assert flops["hoffmann_a4"] < flops["hoffmann"]
    counts = [model.params(name) for name, _ in PARAMS_CONVENTIONS]
    assert counts == sorted(counts)


@given(st.integers(0, 40), st.integers(1, 12), st.integers(1, 16), st.integers(1, 5000), st.integers(1, 60_000))
def test_groups_sum_to_the_total(n_layer: int, heads: int, size: int, inner: int, vocab: int) -> None:
    shape = Shape(n_layer, heads * size, heads, inner, 128, vocab)
    groups = shape.params_by_group
    assert sum(groups.values()) == shape.params_total
    assert groups["attention"] + groups["feed_forward"] == shape.params_non_embedding
    for name, _ in FLOPS_CONVENTIONS:
        assert sum(shape.flops_by_group(name).values()) == shape.flops_per_token(name)


def test_heads_of_their_own_width_and_an_untied_head_are_counted() -> None:
    """By hand: 4 d d_attn + 2 d d_ff a layer, biases 3 d_attn + d + d_ff + d, and V d more for the head."""
    plain, shape = gpt2(2, 128), Shape(2, 128, 4, 512, 1024, 50257, head_dim=64, tied=False)
    assert plain.d_attn == 128
    assert shape.d_attn == 256
    assert shape.params_non_embedding == 2 * (4 * 128 * 256 + 2 * 128 * 512) == 524_288
    assert shape.params_by_group["biases"] == 2 * (3 * 256 + 128 + 512 + 128)
    assert shape.params_by_group["head"] == 50257 * 128
    assert shape.params_with_head - shape.params_non_embedding == 50257 * 128
    groups = shape.flops_by_group("matmul")
    assert groups["scores"] == groups["mixing"] == 6 * 2 * 1024 * 256
    assert groups["head"] == plain.flops_by_group("matmul")["head"]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Shape(1, 8, 3, 32, 8, 256, head_dim=0), "head_dim is 0"),
        (lambda: LSTMShape(0, 8, 8, 256), "n_layer is 0"),
        (lambda: UniversalShape(1, 8, 1, 32, 8, 256, "rotary", reuse=0), "reuse is 0"),
        (lambda: UniversalShape(1, 9, 2, 32, 8, 256), "n_head 2 does not divide"),
        (lambda: ChinchillaShape(1, 8, 1, 0, 8), "d_head is 0"),
    ],
)
def test_other_architectures_that_cannot_be_built(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((2, 10, 3, 40, 8, 256), "n_head 3 does not divide d_model 10"),
        ((-1, 8, 1, 32, 8, 256), "n_layer is -1"),
        ((1, 8, 1, 0, 8, 256), "d_ff is 0"),
    ],
)
def test_shapes_that_cannot_be_built(sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shape(*sizes)


def test_unknown_conventions_are_named() -> None:
    with pytest.raises(ValueError, match="'5n'; allowed: 6n, kaplan"):
        gpt2(2, 128).flops_per_token("5n")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="params_non_embedding"):
        gpt2(2, 128).params("params")  # type: ignore[arg-type]


def test_importing_accounting_loads_no_numpy() -> None:
    code = "import sys, scaling_lab.science.accounting.published_shapes; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

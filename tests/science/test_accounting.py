"""Parameters and FLOPs against independently published counts (papers.md F1, F2)."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.science.accounting import FLOPS_CONVENTIONS, PF_DAY, Shape


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


def test_training_flops_in_pf_days() -> None:
    shape = gpt2(12, 768)
    assert shape.training_flops("6n", 131_072_000_000) / PF_DAY == pytest.approx(0.7730941, rel=1e-6)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(1, 12), st.integers(1, 16), st.integers(1, 5000), st.integers(1, 60_000))
def test_groups_sum_to_the_total(n_layer: int, heads: int, size: int, inner: int, vocab: int) -> None:
    shape = Shape(n_layer, heads * size, heads, inner, 128, vocab)
    groups = shape.params_by_group
    assert sum(groups.values()) == shape.params_total
    assert groups["attention"] + groups["feed_forward"] == shape.params_non_embedding
    for name, _ in FLOPS_CONVENTIONS:
        assert sum(shape.flops_by_group(name).values()) == shape.flops_per_token(name)


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
    code = "import sys, scaling_lab.science.accounting; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

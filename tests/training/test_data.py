from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import run_spec

from scaling_lab.corpus.store import TokenStore
from scaling_lab.errors import TrainingError
from scaling_lab.spec import RunSpec
from scaling_lab.training.data import TrainingStream, chunk_bounds, evaluation_windows, window_order


@pytest.fixture
def store(dataset: Path) -> TokenStore:
    return TokenStore(dataset / "manifest.json")


def test_a_run_sees_each_of_its_first_tokens_once(store: TokenStore, spec: RunSpec) -> None:
    windows = TrainingStream(store, spec).batches(0, spec.steps).flatten(0, 1).numpy()
    starts = window_order(spec, 0) * 32
    stream = store.read("train", 0, spec.tokens)
    assert sorted(starts) == list(range(0, spec.tokens, 32))
    assert np.array_equal(windows[np.argsort(starts), :-1].ravel(), stream)
    assert np.array_equal(windows[np.argsort(starts), 1:].ravel(), np.roll(stream, -1))


@pytest.mark.parametrize("page_tokens", [32 * 10, 2**18])
@given(steps=st.integers(2, 200), more=st.integers(0, 200), seed=st.integers(0, 3))
def test_the_order_of_a_trunk_is_nested_in_the_horizon(page_tokens: int, steps: int, more: int, seed: int) -> None:
    available = 128 * 450 + 17
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scaling_lab.training.data.PAGE_TOKENS", page_tokens)
        short, long = (
            window_order(
                run_spec(tokens=128 * n, schedule__trunk=True, schedule__warmup_tokens=0, seed=seed), available
            )
            for n in (steps, steps + more)
        )
    assert len(short) == 4 * steps
    assert np.array_equal(long[: len(short)], short)
    assert len(set(long)) == len(long)
    pages = max(1, page_tokens // 32)
    assert np.array_equal(np.sort(long // pages), long // pages)
    assert long.max() < available // 32


def test_the_windows_of_a_trunk_are_shuffled_and_differ_between_seeds() -> None:
    orders = [window_order(run_spec(schedule__trunk=True, seed=seed), 10**6) for seed in (0, 1)]
    assert not np.array_equal(*orders)
    assert (np.diff(orders[0]) != 1).mean() > 0.9


def test_a_horizon_of_a_trunk_sees_the_tokens_of_a_longer_one(store: TokenStore) -> None:
    """Targets too: the last of a page is the next page's first token, not the first of the stream."""
    whole = store.tokens("train") // 128 * 128
    short, long = (
        TrainingStream(store, run_spec(tokens=tokens, schedule__trunk=True)) for tokens in (128 * 150, whole)
    )
    assert np.array_equal(short.batches(0, 150), long.batches(0, 150))


def test_order_depends_on_the_seed_and_not_on_the_chunks(store: TokenStore, spec: RunSpec) -> None:
    stream, other = TrainingStream(store, spec), TrainingStream(store, run_spec(seed=1))
    whole = stream.batches(0, 10)
    parts = [stream.batches(start, start + 1)[0] for start in range(10)]
    assert all((whole[i] == part).all() for i, part in enumerate(parts))
    assert not (whole == other.batches(0, 10)).all()


def test_every_epoch_passes_over_the_unique_tokens_in_another_order(store: TokenStore) -> None:
    spec = run_spec(unique_tokens=32 * 150)  # 400 windows of 32: two epochs and two thirds, ending inside batches
    found = TrainingStream(store, spec).batches(0, spec.steps).flatten(0, 1)
    first, second, rest = found[:150], found[150:300], found[300:]
    assert sorted(second.tolist()) == sorted(first.tolist())
    assert not torch.equal(first, second)
    text = store.read("train", 0, 4800).astype(np.int64)
    assert np.array_equal(rest[:, 0], text[window_order(spec, 0, epoch=2)[:100] * 32])
    resumed = TrainingStream(store, spec)
    assert all(torch.equal(resumed.batches(s, s + 1)[0], found[4 * s : 4 * s + 4]) for s in (99, 37, 38, 75))


def test_epochs_are_the_same_whatever_the_horizon_of_a_trunk(store: TokenStore) -> None:
    short, long = (run_spec(tokens=128 * n, unique_tokens=128 * 20, schedule__trunk=True) for n in (50, 100))
    first, second = (TrainingStream(store, spec).batches(0, 50) for spec in (short, long))
    assert torch.equal(first, second)
    assert first[..., :-1].numel() == 50 * 128


def test_the_first_epoch_is_that_of_a_single_pass(store: TokenStore) -> None:
    one, many = run_spec(tokens=128 * 40), run_spec(unique_tokens=128 * 40)
    assert torch.equal(TrainingStream(store, one).batches(0, 40), TrainingStream(store, many).batches(0, 40))


@given(
    start=st.integers(0, 99),
    steps=st.integers(100, 300),
    size=st.integers(1, 40),
    marks=st.lists(st.integers(1, 300), max_size=5),
)
def test_chunks_cover_the_rest_and_stop_at_the_marks(start: int, steps: int, size: int, marks: list[int]) -> None:
    bounds = list(chunk_bounds(start, steps, size, np.array(marks, dtype=np.int64)))
    assert bounds[0][0] == start
    assert bounds[-1][1] == steps
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    assert all(0 < last - first <= size for first, last in bounds)
    assert {m for m in marks if start < m <= steps} <= {last for _, last in bounds}


def test_evaluation_windows_lie_over_the_whole_set(store: TokenStore, spec: RunSpec) -> None:
    windows = evaluation_windows(store, "test", spec).numpy()
    tokens = store.read("test", 0, store.tokens("test"))
    assert windows.shape == (2048 // 32, 33)
    starts = [i * ((len(tokens) - 1) // 32) // 64 * 32 for i in range(64)]
    assert all(np.array_equal(w, tokens[s : s + 33]) for w, s in zip(windows, starts, strict=True))
    assert starts[-1] > 0.9 * len(tokens)


def test_a_set_shorter_than_one_context_is_refused(store: TokenStore) -> None:
    spec = run_spec(architecture__context=2**18, batch_tokens=2**18, tokens=2**18)
    with pytest.raises(TrainingError, match=r"evaluation set 'test' has \d+ tokens; one context takes 262145"):
        evaluation_windows(store, "test", spec)

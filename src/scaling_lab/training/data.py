"""Token windows for training and evaluation: the data order is a pure function of (seed, step)."""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from scaling_lab.corpus.store import TokenStore
from scaling_lab.errors import TrainingError
from scaling_lab.spec import RunSpec

# Windows of trunk runs are shuffled inside pages of so many tokens: far more than a block of text, so that neighbours
# part, and no more than the shortest horizons, which use a share of one page.
PAGE_TOKENS = 2**18


def window_order(spec: RunSpec, available: int, epoch: int = 0) -> NDArray[np.int64]:
    """Windows of one epoch in the order of training, from a train split of `available` tokens.

    A permutation of all that the run reads, a function of (seed, epoch). Runs of a trunk that never repeat are permuted
    page by page, so that their common part has the same order whatever the horizon: the windows inside the last page
    are those that come first in that page's order.
    """
    context = spec.architecture.context
    windows = spec.data_tokens // context
    if spec.unique_tokens is not None or not spec.schedule.trunk:
        return np.random.default_rng((spec.seed, epoch) if epoch else spec.seed).permutation(windows)
    page = max(1, PAGE_TOKENS // context)
    starts = range(0, windows, page)
    lengths = (min(page, available // context - start) for start in starts)
    pages = [
        start + np.random.default_rng((spec.seed, number)).permutation(length)
        for number, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]
    return np.concatenate(pages)[:windows]


class TrainingStream:
    """The first tokens of the train split as windows of context + 1 tokens, each once per epoch, in a seeded order.

    A batch may hold the end of one epoch and the beginning of the next. The target of the very last position wraps to
    the first token, so that D tokens are exactly D / context windows; in runs of a trunk, whose last page may reach
    beyond the horizon, only where the split ends.
    """

    def __init__(self, store: TokenStore, spec: RunSpec) -> None:
        self.context, self.sequences = spec.architecture.context, spec.sequences
        available = store.tokens("train")
        self.order = lru_cache(maxsize=2)(partial(window_order, spec, available))  # by epoch
        self.windows = len(self.order(0))
        end = (int(self.order(0).max()) + 1) * self.context
        tokens = store.read("train", 0, end)
        goes_on = spec.schedule.trunk and end < available
        target = store.read("train", end, end + 1) if goes_on else tokens[:1]
        self.tokens = np.concatenate([tokens, target])

    def batches(self, start: int, stop: int) -> Tensor:
        """Steps start..stop as int64 of shape (steps, sequences, context + 1)."""
        windows = self._windows(start * self.sequences, stop * self.sequences)
        index = windows[:, None] * self.context + np.arange(self.context + 1)
        chunk = torch.from_numpy(self.tokens[index].astype(np.int64))
        return chunk.view(stop - start, self.sequences, self.context + 1)

    def _windows(self, first: int, last: int) -> NDArray[np.int64]:
        """Windows first..last of the endless sequence of epochs."""
        epochs = range(first // self.windows, -(-last // self.windows))
        starts = [epoch * self.windows for epoch in epochs]
        return np.concatenate(
            [self.order(e)[max(first - s, 0) : last - s] for e, s in zip(epochs, starts, strict=True)]
        )


def chunk_bounds(start: int, steps: int, size: int, marks: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """(first, last) steps of chunks of at most `size` steps from `start` to `steps` that never straddle a mark."""
    stops = np.union1d(np.append(np.arange(size, steps, size), steps), marks)
    for stop in stops[(stops > start) & (stops <= steps)].tolist():
        yield start, stop
        start = stop


class _Chunks(IterableDataset[Tensor]):
    def __init__(self, stream: TrainingStream, bounds: list[tuple[int, int]]) -> None:
        self.stream, self.bounds = stream, bounds

    def __iter__(self) -> Iterator[Tensor]:
        return (self.stream.batches(start, stop) for start, stop in self.bounds)


class TokenDataModule(pl.LightningDataModule):
    """Serves chunks of optimizer steps, and goes on where the checkpoint it was restored from stopped.

    A chunk holds the batches of up to `chunk_steps` steps: one call into Lightning for many optimizer steps takes its
    price per step, half of the time of the smallest models, to nothing (shared/performance.md).
    """

    def __init__(self, store: TokenStore, spec: RunSpec, chunk_steps: int, marks: NDArray[np.int64]) -> None:
        super().__init__()
        self.stream = TrainingStream(store, spec)
        self.steps, self.chunk_steps, self.marks = spec.steps, chunk_steps, marks
        self.start_step = 0

    def train_dataloader(self) -> DataLoader[Tensor]:
        bounds = list(chunk_bounds(self.start_step, self.steps, self.chunk_steps, self.marks))
        return DataLoader(_Chunks(self.stream, bounds), batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        assert self.trainer is not None
        return {"start_step": self.trainer.global_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.start_step = state_dict["start_step"]


def evaluation_windows(store: TokenStore, name: str, spec: RunSpec) -> Tensor:
    """The tokens of a set that the spec evaluates, or all it has, as int64 windows of shape (windows, context + 1).

    The windows lie evenly over the whole set, so that a few of its documents do not stand for all of them.
    """
    context = spec.architecture.context
    whole = (store.tokens(name) - 1) // context
    wanted = spec.evaluation.tokens if name in ("validation", "test") else spec.evaluation.transfer_tokens
    windows = min(wanted // context, whole)
    if windows < 1:
        raise TrainingError(f"evaluation set {name!r} has {store.tokens(name)} tokens; one context takes {context + 1}")
    starts = np.arange(windows) * whole // windows * context
    tokens = store.read(name, 0, store.tokens(name))
    return torch.from_numpy(tokens[starts[:, None] + np.arange(context + 1)].astype(np.int64))

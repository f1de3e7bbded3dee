"""The loops that are timed: each trains some steps and says how many seconds one took."""

import itertools
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import Loss, Size, available
from torch import Tensor, nn

from scaling_lab.corpus.store import TokenStore
from scaling_lab.spec import RunSpec
from scaling_lab.training.data import TrainingStream
from scaling_lab.training.engine import prepare_process
from scaling_lab.training.models import build_model
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.optimizer import build_optimizer
from scaling_lab.training.run import train

CUDA = torch.cuda.is_available()
RATE, CLIP = 1e-3, 1.0
OURS, COMPILED, BARE = "scaling-lab", "compiled", "bare loop"


def clock() -> float:
    """CPU seconds of this process, which a shared machine disturbs least; on a GPU wall seconds."""
    if CUDA:
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def run_spec(size: Size, steps: int) -> RunSpec:
    return RunSpec.model_validate(
        {
            "dataset": "random",
            "architecture": {
                "n_layer": size.n_layer,
                "d_model": size.d_model,
                "n_head": size.n_head,
                "d_ff": 4 * size.d_model,
                "context": size.context,
                "vocab_size": size.vocab_size,
            },
            "tokens": steps * size.batch_tokens,
            "batch_tokens": size.batch_tokens,
            "optimizer": {"learning_rate": RATE, "clip_norm": CLIP},
            "schedule": {"warmup_tokens": 0},
            "evaluation": {
                "sets": ["validation"],
                "tokens": size.context,
                "transfer_tokens": size.context,
                "points": 1,
            },
        }
    )


def engines() -> dict[str, Callable[[Size, Path], Callable[[int], float]]]:
    """Functions of a size and a token store that prepare a loop; which gives seconds per step for a number of steps."""
    peers = {name: partial(prepare_peer, name) for name in available()}
    ours = {OURS: prepare_ours, COMPILED: partial(prepare_ours, compile=True), BARE: prepare_bare}
    return ours | peers


def ours(size: Size, dataset: Path, steps: int, compile: bool = False) -> float:
    """Seconds per step of `training.run.train` as users run it, after the first call into Lightning."""
    ends: list[tuple[int, float]] = []
    original = LanguageModel.training_step

    def timed(self: LanguageModel, chunk: Tensor, batch_idx: int) -> Any:
        result = original(self, chunk, batch_idx)
        ends.append((len(chunk), clock()))
        return result

    LanguageModel.training_step = timed  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            train(run_spec(size, steps + 16), dataset, Path(folder), threads=torch.get_num_threads(), compile=compile)
    finally:
        LanguageModel.training_step = original  # type: ignore[method-assign]
    return (ends[-1][1] - ends[0][1]) / sum(count for count, _ in ends[1:])


def prepare_ours(size: Size, dataset: Path, compile: bool = False) -> Callable[[int], float]:
    return partial(ours, size, dataset, compile=compile)


def prepare_bare(size: Size, dataset: Path) -> Callable[[int], float]:
    """Our model, optimizer and batches in a plain loop: what Lightning is compared with."""
    prepare_process(torch.get_num_threads())
    spec, store = run_spec(size, 64), TokenStore(dataset / "manifest.json")
    model = build_model(spec.architecture).to("cuda" if CUDA else "cpu")
    optimizer = build_optimizer(model, spec.optimizer)
    stream = TrainingStream(store, spec)
    position = itertools.count()

    def batch() -> Tensor:
        step = next(position) % 64
        return stream.batches(step, step + 1)[0]

    return _loop(model, lambda windows: model(windows[:, :-1], windows[:, 1:]), optimizer, batch)


def prepare_peer(peer: str, size: Size, dataset: Path) -> Callable[[int], float]:
    """A peer's model in nanoGPT's loop: random windows, AdamW with fused kernels on a GPU, clipping."""
    model, loss = available()[peer](size)
    tokens = np.memmap(dataset / "train.bin", "<u2", mode="r")
    model.to("cuda" if CUDA else "cpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.1, fused=CUDA or None)

    def batch() -> Tensor:
        starts = torch.randint(len(tokens) - size.context - 1, (size.batch_tokens // size.context,))
        return torch.stack([torch.from_numpy(tokens[i : i + size.context + 1].astype(np.int64)) for i in starts])

    return _loop(model, loss, optimizer, batch)


def _loop(
    model: nn.Module, loss_of: Loss, optimizer: torch.optim.Optimizer, batch: Callable[[], Tensor]
) -> Callable[[int], float]:
    parameters = list(model.parameters())
    device = parameters[0].device.type

    def run(steps: int) -> float:
        start = clock()
        for _ in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = RATE
            windows = batch().to(device, non_blocking=True)
            with torch.autocast(device, torch.bfloat16, enabled=CUDA):
                loss = loss_of(windows)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return (clock() - start) / steps

    return run

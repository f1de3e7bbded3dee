"""Compiled blocks: a block's elementwise work fused into few kernels, for runs long enough to pay for compiling it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def compile_blocks(model: nn.Module) -> None:
    """Have torch compile each block of `model` when it is first called; blocks of one shape share what is compiled.

    Names of parameters stay as they are, so that checkpoints of compiled and other models are the same. A model
    without blocks, an LSTM, stays as it is.
    """
    for block in blocks_of(model):
        block.compile(dynamic=False)


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """The blocks that a model repeats, from the first to the last."""
    stacks = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return [block for stack in stacks for block in stack]


@contextmanager
def uncompiled() -> Iterator[None]:
    """Compiled models run as written: for what is done rarely, at shapes of its own."""
    with torch.compiler.set_stance("force_eager"):
        yield

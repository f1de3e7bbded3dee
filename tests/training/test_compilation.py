"""Compiled blocks train what others train, and go on from a checkpoint to the same bits."""

import json
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from tests.conftest import run_spec
from tests.training.test_distributed import curve
from tests.training.test_run import assert_same_bits
from torch import nn

from scaling_lab.training.checkpoints import latest_checkpoint
from scaling_lab.training.compilation import compile_blocks, uncompiled
from scaling_lab.training.run import train

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler, g++, on a CPU")


class Counted(nn.Module):
    """Counts how often it ran as written, not compiled."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.compiler.is_compiling():
            self.calls += 1
        return x + 1


@pytest.mark.slow
def test_blocks_are_compiled_and_run_as_written_in_evaluations() -> None:
    block, x = Counted(), torch.zeros(2)
    compile_blocks(nn.ModuleDict({"blocks": nn.ModuleList([block])}))
    torch.testing.assert_close(block(x), x + 1)
    assert block.calls == 0
    with uncompiled():
        block(x)
    assert block.calls == 1


@pytest.mark.slow
def test_a_compiled_run_is_the_same_run_and_goes_on_to_the_same_bits(dataset: Path, tmp_path: Path) -> None:
    spec = run_spec(tokens=128 * 40, architecture__n_layer=2)
    train(spec, dataset, tmp_path / "plain", threads=1)
    with patch("scaling_lab.training.engine.compile_blocks", wraps=compile_blocks) as compiling:
        for name in ("whole", "cut"):
            train(spec, dataset, tmp_path / name, threads=1, compile=True, checkpoint_tokens=128 * 12)
        newest = latest_checkpoint(tmp_path / "cut" / "checkpoints")
        assert newest is not None
        newest.unlink()
        train(spec, dataset, tmp_path / "cut", threads=1, compile=True)
    assert compiling.call_count == 3
    assert json.loads((tmp_path / "cut" / "summary.json").read_text())["started_at_steps"] == [0, 36]
    assert_same_bits(tmp_path / "whole", tmp_path / "cut")
    for column in ("train_loss_nats", "gradient_norm", "validation_loss_nats"):
        plain, compiled = (curve(tmp_path / name, column) for name in ("plain", "whole"))
        torch.testing.assert_close(compiled, plain, rtol=1e-3, atol=1e-5, equal_nan=True)

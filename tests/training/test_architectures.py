"""Every architecture through the whole of a run: training, interruption, tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import run_spec

from scaling_lab.corpus.store import TokenStore
from scaling_lab.spec import RunSpec, canonical_json
from scaling_lab.tables import run_row
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.run import train

SIZE: dict[str, Any] = {"n_layer": 2, "d_model": 16, "context": 32, "vocab_size": 257, "dropout": 0.1}
BLOCKS: dict[str, Any] = SIZE | {"n_head": 2, "d_ff": 64}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "lstm": SIZE | {"kind": "lstm", "bptt_tokens": 16},
    "universal": BLOCKS | {"kind": "universal", "reuse": 2, "tied": False},
    "mup": BLOCKS | {"parametrization": "mup", "base_width": 8, "head_dim": 4, "positions": "learned"},
    "completep": BLOCKS | {"parametrization": "completep", "base_width": 8, "base_depth": 1},
}


def spec_of(fields: dict[str, Any]) -> RunSpec:
    return run_spec(architecture=fields, tokens=128 * 200)


def unigram_entropy(dataset: Path) -> float:
    """Nats per token of the best model without context."""
    store = TokenStore(dataset / "manifest.json")
    shares = np.bincount(store.read("test", 0, store.tokens("test"))) / store.tokens("test")
    return float(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))


class MachineGoneError(Exception):
    """Stands for the machine going away."""


@pytest.mark.parametrize("fields", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_it_learns_and_an_interrupted_run_goes_on_to_the_same_bits(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    spec, folders = spec_of(fields), [tmp_path / "whole", tmp_path / "cut"]
    for folder in folders:
        folder.mkdir()
        (folder / "spec.json").write_text(canonical_json(spec))
    train(spec, dataset, folders[0], threads=1)
    original = LanguageModel.training_step

    def stop(self: LanguageModel, chunk: torch.Tensor, batch_idx: int) -> None:
        if self.global_step >= 96:
            raise MachineGoneError
        original(self, chunk, batch_idx)

    monkeypatch.setattr(LanguageModel, "training_step", stop)
    with pytest.raises(MachineGoneError):
        train(spec, dataset, folders[1], threads=1, checkpoint_seconds=0)
    monkeypatch.undo()
    train(spec, dataset, folders[1], threads=1)
    whole, cut = (run_row(folder) for folder in folders)
    assert whole["test_loss_nats"] < unigram_entropy(dataset)
    assert whole["test_loss_by_position_nats"] == cut["test_loss_by_position_nats"]


def test_tables_say_what_each_model_is_and_leave_out_what_it_has_not(dataset: Path, tmp_path: Path) -> None:
    rows = {}
    for name, fields in ARCHITECTURES.items():
        spec = run_spec(architecture=fields, tokens=128 * 4)
        (tmp_path / name).mkdir()
        (tmp_path / name / "spec.json").write_text(canonical_json(spec))
        train(spec, dataset, tmp_path / name, threads=1)
        rows[name] = run_row(tmp_path / name)
    lstm, universal, mup = rows["lstm"], rows["universal"], rows["mup"]
    assert (lstm["architecture"], lstm["n_head"], lstm["positions"], lstm["bptt_tokens"]) == ("lstm", None, None, 16)
    assert lstm["flops_6n"] == lstm["flops_kaplan"] == 6 * 2 * 8 * 16**2 * lstm["tokens"]
    assert (universal["architecture"], universal["reuse"], universal["tied"]) == ("universal", 2, False)
    assert universal["params_with_reuse"] == 2 * universal["params_non_embedding"] == 2 * 2 * 12 * 16**2
    assert universal["flops_6n"] == 6 * universal["params_with_reuse"] * universal["tokens"]
    assert (mup["architecture"], mup["parametrization"], mup["base_width"], mup["head_dim"]) == (
        "transformer", "mup", 8, 4,
    )  # fmt: skip
    assert (mup["reuse"], mup["params_with_reuse"]) == (1, mup["params_non_embedding"])

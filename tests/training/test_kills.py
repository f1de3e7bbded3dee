"""Thirty kills at random instants, SIGKILL and SIGTERM: the same bits as a run that nobody disturbed."""

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import run_spec
from tests.training.killing import Plan, run_plan
from tests.training.test_run import assert_same_bits

from scaling_lab.spec import canonical_json

KILLS = 6  # of each
SMALL = {"n_layer": 1, "d_model": 16, "context": 32, "vocab_size": 257, "dropout": 0.1}
DROPOUT = {"architecture__dropout": 0.1}
RUNS: dict[str, dict[str, Any]] = {
    "learned positions": {**DROPOUT, "architecture__positions": "learned"},
    "rotary positions, noise scale": {**DROPOUT, "architecture__positions": "rotary", "micro_batches": 2},
    "LSTM": {"architecture": {"kind": "lstm", **SMALL}},
    "Universal Transformer": {"architecture": {"kind": "universal", "reuse": 2, "n_head": 2, "d_ff": 64, **SMALL}},
    "epochs, early stopping": {
        **DROPOUT,
        "unique_tokens": 32 * 50,
        "stopping": {"every_tokens": 128 * 10, "patience": 12},
    },
}


@pytest.mark.parametrize("name", RUNS)
def test_kills_change_no_bit(dataset: Path, tmp_path: Path, name: str) -> None:
    spec = run_spec(**{"tokens": 128 * 120, **RUNS[name]})
    plan = Plan(canonical_json(spec), str(dataset), str(tmp_path), KILLS, seed=len(name))
    outcome = run_plan(plan)
    codes = outcome["codes"]
    assert isinstance(codes, dict)
    assert isinstance(outcome["runs"], int)
    assert outcome["kills"] == KILLS
    assert set(codes["SIGKILL"]) <= {0, -9}
    # 75 by contract; -15 before the handler is there, a moment after the fork, and after it is gone.
    assert set(codes["SIGTERM"]) <= {0, 75, -15}
    assert 75 in codes["SIGTERM"]
    for run in range(outcome["runs"]):
        assert_same_bits(tmp_path / "whole", tmp_path / str(run))

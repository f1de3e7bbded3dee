"""Rows of the learning curve from planted histories."""

import math
from typing import Any

import pytest
from tests.conftest import run_spec

from scaling_lab.spec import RunSpec
from scaling_lab.training.curves import SCHEMA, Scale, curve_table, evaluation_steps
from scaling_lab.training.history import History


def history(spec: RunSpec, **changes: Any) -> History:
    """Losses 1 / step, a step a second, a byte a step."""
    steps = range(1, spec.steps + 1)
    planted: dict[str, Any] = {
        "losses": [1 / step for step in steps],
        "gradient_norms": [2.0] * spec.steps,
        "validation": {50: 3.0, 100: 2.0},
        "clock": {0: 0.0, 40: 40.0, 100: 100.0},
        "memory": {40: 1000, 100: 2000},
    }
    return History(**(planted | changes))


def test_rows_carry_units_that_others_compare(spec: RunSpec) -> None:
    per_token = spec.architecture.shape.flops_per_token("matmul")
    rows = curve_table(spec, history(spec), Scale(2.0, 10 * 128 * per_token)).to_pylist()
    by_step = {row["step"]: row for row in rows}
    first, last = by_step[1], by_step[100]
    assert first["tokens_per_s"] == last["tokens_per_s"] == pytest.approx(128)
    assert last["flops_share_of_peak"] == pytest.approx(0.1)
    assert last["flops_matmul"] == spec.flops("matmul")
    assert last["validation_bits_per_byte"] == pytest.approx(2.0 / math.log(2) / 2.0)
    assert last["train_loss_smoothed_nats"] == pytest.approx(sum(1 / s for s in range(96, 101)) / 5)
    assert [by_step[step]["peak_memory_bytes"] for step in (1, 36, 41, 100)] == [1000, 1000, 2000, 2000]
    assert first["noise_scale_tokens"] is None


def test_what_a_device_without_a_known_peak_reaches_is_not_said(spec: RunSpec) -> None:
    table = curve_table(spec, history(spec), Scale(2.0, None))
    assert table.schema == SCHEMA
    assert table["flops_share_of_peak"].null_count == len(table)


def test_a_run_that_ended_early_has_rows_up_to_there(spec: RunSpec) -> None:
    ended = history(spec, losses=[1.0] * 36 + [math.nan], gradient_norms=[math.inf] * 37, diverged_at=37, validation={})
    rows = curve_table(spec, ended, Scale(2.0, None)).to_pylist()
    assert rows[-1]["step"] == 37
    assert rows[-1]["train_loss_nats"] is rows[-1]["gradient_norm"] is None
    assert rows[-2]["train_loss_nats"] == 1.0


def test_long_runs_have_geometric_rows_and_every_evaluation() -> None:
    spec = run_spec(tokens=128 * 100_000)
    rows = curve_table(spec, history(spec, validation={12_345: 2.0}), Scale(2.0, None))["step"].to_pylist()
    assert 150 < len(rows) <= 201
    assert {1, 12_345, 100_000} <= set(rows)


def test_evaluations_halve_the_run() -> None:
    assert evaluation_steps(run_spec(evaluation__points=3)).tolist() == [25, 50, 100]
    assert evaluation_steps(run_spec(tokens=256, schedule__warmup_tokens=0, evaluation__points=5)).tolist() == [1, 2]


def test_a_state_comes_back_as_it_was(spec: RunSpec) -> None:
    noisy = history(spec)
    noisy.add(run_spec(micro_batches=2), [1.0], [1.0], [1.5])
    noisy.by_position[50] = [4.0, 3.0]
    assert History.from_state(noisy.as_state()) == noisy


def test_a_checkpoint_from_before_losses_by_position_goes_on(spec: RunSpec) -> None:
    old = {name: value for name, value in history(spec).as_state().items() if name != "by_position"}
    rows = curve_table(spec, History.from_state(old), Scale(2.0, None)).to_pylist()
    assert {row["step"]: row["validation_loss_nats"] for row in rows}[50] == 3.0
    assert all(row["validation_loss_by_position_nats"] is None for row in rows)

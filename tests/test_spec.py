import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scaling_lab.spec import RunSpec, ScheduleSpec, canonical_json
from tests.conftest import run_spec


def test_canonical_json_round_trips_and_ignores_key_order(spec: RunSpec) -> None:
    text = canonical_json(spec)
    shuffled = json.dumps(dict(reversed(json.loads(text).items())))
    assert RunSpec.from_json(text) == spec
    assert canonical_json(RunSpec.from_json(shuffled)) == text


def test_a_default_written_out_does_not_change_the_id(spec: RunSpec) -> None:
    assert run_spec(optimizer__beta1=0.9, seed=0).run_id == spec.run_id


# A change of any of these must give another run, or two different runs would share one folder.
CHANGES = {
    "seed": 1,
    "tokens": 128 * 101,
    "dataset": "sample-bpe512",
    "recipe": 2,
    "architecture__dropout": 0.1,
    "optimizer__learning_rate": 0.011,
    "optimizer__name": "adafactor",
    "schedule__name": "cosine",
    "schedule__cooldown_shape": "linear",
    "schedule__period_fraction": 1.5,
    "schedule__trunk": True,
    "evaluation__points": 3,
    "micro_batches": 2,
    "unique_tokens": 3200,
    "stopping": {"every_tokens": 128, "patience": 1},
}


@pytest.mark.parametrize("key", CHANGES)
def test_every_field_is_part_of_the_id(spec: RunSpec, key: str) -> None:
    assert run_spec(**{key: CHANGES[key]}).run_id != spec.run_id


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({"name": "wsd"}, 1.0),
        ({"name": "wsd", "cooldown_fraction": 0.0}, 0.0),
        ({"name": "constant"}, 0.0),
        ({"name": "linear"}, 1.0),
        ({"name": "cosine"}, 1.0),
        ({"name": "cosine", "period_fraction": 2.0}, 0.5),
    ],
)
def test_how_much_of_its_schedule_a_run_completes(changes: dict[str, Any], share: float) -> None:
    assert ScheduleSpec(warmup_tokens=0, **changes).completed == share


def test_the_id_is_pinned() -> None:
    """A changed default or a renamed field would retrain everything that users have: add a field instead."""
    assert run_spec().run_id == "L1d16-D0.0128M-s0-b9d60da7"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture__n_head": 3}, "n_head: 3 heads do not divide d_model = 16"),
        ({"batch_tokens": 100}, "batch_tokens: 100 is not a multiple of the context, 32"),
        ({"tokens": 1000}, "tokens: 1000 is not a multiple of batch_tokens = 128"),
        ({"optimizer__learning_rate": float("nan")}, "finite number"),
        ({"optimizer__clip_norm": float("nan")}, "greater than 0"),
        ({"optimizer__weight_decay": float("nan")}, "greater than or equal to 0"),
        ({"micro_batches": 3}, r"micro_batches: 3 does not divide the 4 sequences of a batch \(batch_tokens = 128\)"),
        ({"unique_tokens": 1000}, "unique_tokens: 1000 is not a multiple of the context, 32, below tokens = 12800"),
        ({"unique_tokens": 12800}, "unique_tokens: 12800 is not .* below tokens = 12800; leave it out for one pass"),
        ({"stopping": {"every_tokens": 100, "patience": 1}}, "stopping.every_tokens: 100 is not a multiple of batch_t"),
        ({"stopping": {"every_tokens": 128, "patience": 1}, "schedule__trunk": True}, "stopping: the runs of a trunk"),
        ({"stopping": {"every_tokens": 128, "patience": 0}}, "greater than or equal to 1"),
        ({"architecture__context": 256}, "batch_tokens: 128 is not a multiple of the context, 256"),
        ({"tokens": 0}, "greater than or equal to 1"),
        ({"schedule__name": "step"}, "'wsd', 'rsqrt', 'cosine', 'linear' or 'constant'"),
        ({"schedule": {"name": "cosine", "warmup_tokens": 0, "trunk": True}}, "trunk: wsd and rsqrt have a part"),
        ({"schedule": {"name": "rsqrt", "warmup_tokens": 0}}, "warmup_tokens: 0 gives rsqrt no time scale"),
        ({"schedule": {"warmup_tokens": 12800, "trunk": True}}, "warmup_tokens: 12800 is more than the 10240 tokens"),
        ({"unknown": 1}, "Extra inputs are not permitted"),
    ],
)
def test_impossible_runs_are_refused_with_the_field(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        run_spec(**changes)


@given(batch=st.integers(1, 50), steps=st.integers(1, 1000))
def test_steps_times_batch_is_the_horizon(batch: int, steps: int) -> None:
    spec = run_spec(batch_tokens=32 * batch, tokens=32 * batch * steps)
    assert spec.steps == steps
    assert spec.flops("6n") == 6 * spec.architecture.shape.params_non_embedding * spec.tokens


def test_flat_names_are_dotted_and_complete(spec: RunSpec) -> None:
    flat = spec.flat()
    assert flat["architecture.d_model"] == 16
    assert flat["optimizer.beta2"] == 0.99
    assert not any(isinstance(value, dict) for value in flat.values())

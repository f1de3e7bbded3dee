"""Rules by name in the configuration: units, coefficients, and what a trunk needs of them."""

from typing import Any

import pytest

from scaling_lab.config import TrainingConfig, parse_config
from scaling_lab.errors import ConfigError
from scaling_lab.recipes import batch_tokens, make_schedule, peak_learning_rate, refuse_trunk_that_knows_its_horizon
from scaling_lab.science.accounting import Shape
from scaling_lab.science.hyperparameters import PUBLISHED_BATCHES, PUBLISHED_RATES

MODEL = Shape(12, 768, 12, 3072, 1024, 50257, "learned")
TOKENS = 2e9
FLOPS = (72 * 12 * 768**2 + 12 * 12 * 768 * 1024) * TOKENS  # DeepSeek's M D


def training(**raw: Any) -> TrainingConfig:
    return parse_config(TrainingConfig, {"context": 1024, **raw}, "training")


@pytest.mark.parametrize(
    ("rule", "rate"),
    [
        ("power", 0.19 * 84_934_656**-0.32),
        ("kaplan", 6.920937e-4),
        ("deepseek", 0.3118 * FLOPS**-0.125),
        ("step", 1.79 * 84_934_656**-0.713 * TOKENS**0.307),
        ("porian", 3.7 * (84_934_656 + 768 * 50257) ** -0.36),
        ("olmo", 0.0047 * (84_934_656 / 108e6) ** (-1 / 3)),
    ],
)
def test_rates_by_name_count_as_their_papers_do(rule: str, rate: float) -> None:
    recipe = training(learning_rate={"rule": rule})
    assert peak_learning_rate(MODEL, TOKENS, recipe) == pytest.approx(rate, rel=1e-3)
    twice = training(learning_rate={"rule": rule, "coefficient": 0.38 if rule == "power" else 2})
    assert peak_learning_rate(MODEL, TOKENS, twice) == pytest.approx(2 * rate, rel=1e-3)


@pytest.mark.parametrize(
    ("rule", "tokens"),
    [
        ("power", 0.5 * TOKENS**0.5),
        ("deepseek", 0.2920 * FLOPS**0.3271),
        ("step", 0.58 * TOKENS**0.571),
        ("porian", 0.7576 * (84_934_656 + 768 * 50257) ** 0.703),
        ("olmo", 2048 * 160 * (84_934_656 / 108e6) ** (2 / 3)),
        ("zhang", 512 * 93.20 * 84.934656**0.47),
    ],
)
def test_batches_by_name_are_whole_contexts_of_tokens(rule: str, tokens: float) -> None:
    found = batch_tokens(MODEL, TOKENS, training(batch={"rule": rule}))
    assert found % 1024 == 0
    assert found == pytest.approx(tokens, abs=512)


def test_every_published_rule_has_a_name_in_the_configuration() -> None:
    assert all(peak_learning_rate(MODEL, TOKENS, training(learning_rate={"rule": r})) > 0 for r in PUBLISHED_RATES)
    assert all(batch_tokens(MODEL, TOKENS, training(batch={"rule": r})) > 0 for r in PUBLISHED_BATCHES)


FIXED = {"rule": "power", "coefficient": 4096, "exponent": 0}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "batch: rule power with exponent 0.5 depends on the horizon"),
        ({"batch": {"rule": "step"}}, "batch: rule step"),
        ({"batch": FIXED, "learning_rate": {"tokens_exponent": 0.1}}, "learning_rate: rule power with tokens_exponent"),
        ({"batch": FIXED, "learning_rate": {"rule": "deepseek"}}, "learning_rate: rule deepseek"),
    ],
)
def test_a_trunk_refuses_rules_that_know_the_horizon(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        refuse_trunk_that_knows_its_horizon(MODEL, training(**raw))


def test_a_trunk_takes_rules_by_size() -> None:
    for batch, rate in (
        (FIXED, {"rule": "power"}),
        ({"rule": "porian"}, {"rule": "porian"}),
        (FIXED, {"rule": "olmo"}),
    ):
        refuse_trunk_that_knows_its_horizon(MODEL, training(batch=batch, learning_rate=rate))


def test_a_trunk_refuses_a_horizon_that_its_warmup_is_too_long_for() -> None:
    recipe = training(schedule={"trunk": True, "warmup_tokens": 20_000})
    assert make_schedule(100_000, 1024, recipe).warmup_tokens == 19 * 1024
    with pytest.raises(
        ConfigError, match=r"schedule.warmup_tokens: 20000 is more than schedule.warmup_fraction = 0.2 of"
    ):
        make_schedule(99_000, 1024, recipe)

from typing import Any

import pytest

from scaling_lab.config import Config, StudyConfig, parse_config
from scaling_lab.errors import ConfigError
from scaling_lab.grid import expand_study
from scaling_lab.spec import RunSpec

CONFIG = parse_config(Config, {}, "config")


def expand(*blocks: dict[str, Any], config: Config = CONFIG) -> dict[str, RunSpec]:
    raw = {"question": "What does the grid expand to?", "grid": blocks, "fits": ["params"], "figures": []}
    return expand_study("test", parse_config(StudyConfig, raw, "test.yaml"), config)


def test_a_block_is_a_product_and_blocks_share_equal_runs() -> None:
    block = {"shapes": [[1, 8], [2, 16]], "tokens": [100_000, 200_000], "seeds": [0, 1]}
    assert len(expand(block)) == 8
    assert expand(block, {"shapes": [[1, 8]], "tokens": [100_000]}) == expand(block)


def test_budgets_give_equal_flops_and_the_range_drops_cells() -> None:
    shapes = [[1, 8], [2, 16], [3, 32]]
    runs = expand({"shapes": shapes, "budgets": [1e11], "token_range": [150_000, 1_000_000]}).values()
    assert [spec.architecture.d_model for spec in runs] == [16, 32]
    for spec in runs:
        assert spec.flops("matmul") == pytest.approx(1e11, rel=0.005)


def test_a_grid_around_a_predicted_optimum_moves_with_the_budget() -> None:
    around = {"coefficient": 1e-4, "exponent": 0.7, "reach": 3}
    shapes = [[1, width] for width in (8, 16, 24, 32, 48, 64, 96)]
    runs = expand({"shapes": shapes, "budgets": [1e11, 1e12], "around": around}).values()
    widths = {round(spec.flops("matmul"), -10): [] for spec in runs}
    for spec in runs:
        widths[round(spec.flops("matmul"), -10)].append(spec.architecture.d_model)
    # N* of 1e11 FLOPs is 5012, and 12 d^2 from 1671 to 15036; of 1e12 five times as much.
    assert list(widths.values()) == [[16, 24, 32], [32, 48, 64]]


def test_a_grid_around_an_optimum_is_one_of_budgets() -> None:
    with pytest.raises(ConfigError, match=r"around: an optimum is one of `budgets`; this block gives `tokens`"):
        expand({"shapes": [[1, 8]], "tokens": [100_000], "around": {"coefficient": 1, "exponent": 0.5}})


def test_equal_cost_under_another_convention_is_another_grid() -> None:
    by_6n = expand({"shapes": [[2, 16]], "budgets": [1e11], "flops": "6n"}).values()
    assert [spec.flops("6n") for spec in by_6n] == pytest.approx([1e11], rel=0.005)


def test_vary_crosses_dotted_keys_and_refuses_unknown_ones() -> None:
    runs = expand(
        {
            "shapes": [[1, 8]],
            "tokens": [100_000],
            "vary": {"learning_rate.coefficient": [1.0, 2.0], "dropout": [0, 0.1]},
        }
    )
    rates = sorted({spec.optimizer.learning_rate for spec in runs.values()})
    assert len(runs) == 4
    assert rates[1] == pytest.approx(2 * rates[0], rel=1e-3)
    with pytest.raises(ConfigError, match=r"test.yaml: grid.0: vary.dropuot: not a key of `training`"):
        expand({"shapes": [[1, 8]], "tokens": [100_000], "vary": {"dropuot": [0]}})


def test_unique_tokens_are_crossed_with_tokens_and_one_pass_is_shared() -> None:
    crossed = expand({"shapes": [[1, 8]], "tokens": [100_000, 400_000], "unique_tokens": [50_000, 200_000]}).values()
    ratios = [(round(s.tokens, -4), None if s.unique_tokens is None else s.unique_tokens) for s in crossed]
    assert ratios == [(100_000, 50_048), (100_000, None), (400_000, 50_048), (400_000, 199_936)]
    assert [s.run_id for s in crossed][1] in expand({"shapes": [[1, 8]], "tokens": [100_000]})


def test_micro_batches_and_stopping_are_rounded_to_what_a_batch_allows() -> None:
    block = {"shapes": [[1, 8]], "tokens": [10**6], "vary": {"micro_batches": [1, 4]}}
    config = parse_config(Config, {"training": {"stopping": {"every_tokens": 10_000, "patience": 3}}}, "config")
    one, four = expand(block, config=config).values()
    assert (four.micro_batches, four.sequences % 4) == (4, 0)
    for spec in (one, four):
        assert spec.stopping is not None
        assert spec.stopping.every_tokens % spec.batch_tokens == 0
        assert abs(spec.stopping.every_tokens - 10_000) <= spec.batch_tokens / 2
    varied = {"shapes": [[1, 8]], "tokens": [10**6], "vary": {"stopping": [None, {"every_tokens": 10_000}]}}
    assert [s.stopping is None for s in expand(varied).values()] == [True, False]
    with pytest.raises(ConfigError, match=r"vary.stopping.patience: not a key of `training`"):
        expand({"shapes": [[1, 8]], "tokens": [10**6], "vary": {"stopping.patience": [2]}})


def test_larger_models_get_lower_rates_and_longer_runs_larger_batches() -> None:
    small, small_long, large, _ = expand({"shapes": [[1, 8], [4, 64]], "tokens": [10**5, 10**6]}).values()
    assert small.optimizer.learning_rate > large.optimizer.learning_rate
    assert small_long.batch_tokens > small.batch_tokens


def test_warmup_is_whole_batches_and_at_most_its_share_of_the_run() -> None:
    for spec in expand({"shapes": [[1, 8]], "tokens": [10**4, 10**5, 10**6, 10**7]}).values():
        assert spec.schedule.warmup_tokens % spec.batch_tokens == 0
        assert spec.schedule.warmup_tokens <= min(0.2 * spec.tokens, 65536)


def test_heads_are_as_many_as_divide_the_width_at_twelve_or_wider() -> None:
    runs = expand({"shapes": [[1, w] for w in (8, 24, 48, 72)], "tokens": [10**5]}).values()
    assert [spec.architecture.n_head for spec in runs] == [1, 2, 4, 6]


def test_kaplan_rule_refuses_models_beyond_its_range() -> None:
    config = parse_config(Config, {"training": {"learning_rate": {"rule": "kaplan", "coefficient": 1}}}, "config")
    with pytest.raises(ConfigError, match=r"grid.0: learning_rate.rule kaplan holds up to 1e10"):
        expand({"shapes": [[100, 8192]], "tokens": [10**6]}, config=config)


TRUNK = {"schedule": {"trunk": True, "warmup_tokens": 8192}, "batch": {"coefficient": 512, "exponent": 0}}


def test_horizons_of_a_trunk_differ_in_their_tokens_alone() -> None:
    config = parse_config(Config, {"training": TRUNK}, "config")
    short, long = expand({"shapes": [[1, 8]], "tokens": [10**5, 10**6]}, config=config).values()
    assert short.model_copy(update={"tokens": long.tokens}) == long


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (TRUNK | {"batch": {"exponent": 0.5}}, r"grid.0: batch: rule power with exponent 0.5 depends on the horizon"),
        (
            TRUNK | {"schedule": {"trunk": True, "name": "cosine", "warmup_tokens": 0}},
            r"grid.0: trunk: wsd and rsqrt have a part",
        ),
        (TRUNK | {"schedule": {"trunk": True}}, r"grid.0: schedule.warmup_tokens: 65536 is more than"),
    ],
)
def test_a_trunk_that_depends_on_the_horizon_is_refused(training: dict[str, Any], message: str) -> None:
    config = parse_config(Config, {"training": training}, "config")
    with pytest.raises(ConfigError, match=message):
        expand({"shapes": [[1, 8]], "tokens": [10**5]}, config=config)

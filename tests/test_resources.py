from pathlib import Path

import pytest

from scaling_lab.config import Config, ResourcesConfig
from scaling_lab.experiment import load_experiment
from scaling_lab.resources import (
    START_UP_SECONDS,
    expected_seconds,
    gpus_of_each_node,
    gpus_of_the_job,
    memory_mb,
    pack,
    priority,
    runtime_minutes,
    tasks,
    threads,
    trunk_pack,
)
from scaling_lab.spec import RunSpec
from scaling_lab.trunks import find_trunks
from tests.conftest import run_spec

STUDIES = Path(__file__).parents[1] / "config" / "studies"
CORE = Config()
GPU = Config(resources=ResourcesConfig(gpus=1, flops_per_second=1e14))

# Wall seconds of training that `make demo` measured on one core of an AMD EPYC, by layers, width and tokens.
MEASURED = {(2, 80, 1_680_000): 55.3, (1, 24, 1_050_000): 9.8, (3, 112, 208_000): 19.7, (1, 40, 237_000): 3.8}


def by_cost() -> list[RunSpec]:
    return sorted(load_experiment({}, STUDIES).runs.values(), key=lambda spec: spec.flops("matmul"))


@pytest.mark.parametrize(("cell", "seconds"), MEASURED.items(), ids=str)
def test_expected_time_is_near_what_was_measured(cell: tuple[int, int, int], seconds: float) -> None:
    layers, width, tokens = cell
    spec = next(
        spec
        for spec in by_cost()
        if (spec.architecture.n_layer, spec.architecture.d_model) == (layers, width)
        and abs(spec.tokens / tokens - 1) < 0.01
    )
    assert 0.5 < expected_seconds(spec, CORE) / (seconds + START_UP_SECONDS) < 2


def test_time_and_memory_grow_with_the_run() -> None:
    cheapest, *_, dearest = by_cost()
    assert runtime_minutes(dearest, CORE) > runtime_minutes(cheapest, CORE)
    assert memory_mb(dearest, CORE) > memory_mb(cheapest, CORE)
    assert priority(dearest) > priority(cheapest)


@pytest.mark.parametrize(("attempt", "factor"), [(1, 1), (2, 2), (3, 4), (4, 4), (9, 4)])
def test_another_attempt_asks_for_more_up_to_four_times(spec: RunSpec, attempt: int, factor: int) -> None:
    assert runtime_minutes(spec, CORE, attempt) == factor * runtime_minutes(spec, CORE)
    assert memory_mb(spec, CORE, attempt) == factor * memory_mb(spec, CORE)


def test_a_faster_device_and_more_of_them_ask_for_less_time() -> None:
    spec = run_spec(tokens=128 * 10**8)
    one = expected_seconds(spec, GPU) - START_UP_SECONDS
    four = expected_seconds(spec, GPU.model_copy(update={"devices": 4})) - START_UP_SECONDS
    assert one == pytest.approx((expected_seconds(spec, CORE) - START_UP_SECONDS) / 2000)
    assert four == pytest.approx(one / 4)


def test_packs_by_expected_time(spec: RunSpec) -> None:
    assert pack(spec, CORE) == "train_seconds"
    assert pack(run_spec(tokens=128 * 400_000), CORE) == "train_minutes"
    assert pack(run_spec(tokens=128 * 10**8), CORE) is None
    assert pack(spec, GPU) == "train_seconds"
    assert pack(spec, Config(devices=2)) is None
    assert pack(spec, Config(nodes=2)) is None


def test_all_segments_of_a_trunk_are_packed_by_its_whole_length(spec: RunSpec) -> None:
    long = run_spec(schedule__name="wsd", schedule__trunk=True, tokens=128 * 400_000)
    (trunk,) = find_trunks([long.model_copy(update={"tokens": 128 * 1000}), long]).values()
    assert len(trunk.branches) == 2
    assert trunk_pack(trunk, CORE) == "trunk_minutes"
    assert trunk_pack(trunk, Config(devices=2)) is None


def test_processes_that_share_a_run_each_ask_for_memory_and_a_processor(spec: RunSpec) -> None:
    two = Config(devices=2)
    assert memory_mb(spec, two) == pytest.approx(2 * memory_mb(spec, CORE), rel=0.01)
    assert (threads(CORE), threads(two), threads(Config(devices=2, threads=8))) == (1, 2, 8)


def test_each_of_several_nodes_asks_for_what_one_would(spec: RunSpec) -> None:
    one, four = (
        Config(nodes=nodes, devices=2, threads=6, resources=ResourcesConfig(gpus=2, flops_per_second=1e6))
        for nodes in (1, 4)
    )
    assert (memory_mb(spec, four), threads(four)) == (memory_mb(spec, one), threads(one))
    seconds = [expected_seconds(spec, config) - START_UP_SECONDS for config in (one, four)]
    assert seconds[1] == pytest.approx(seconds[0] / 4)
    assert (gpus_of_the_job(one), gpus_of_each_node(one), tasks(one)) == (2, None, None)
    assert (gpus_of_the_job(four), gpus_of_each_node(four), tasks(four)) == (0, "gpu:2", None)
    on_processors = Config(nodes=4, devices=2)
    assert (gpus_of_the_job(on_processors), gpus_of_each_node(on_processors), tasks(on_processors)) == (0, None, 4)

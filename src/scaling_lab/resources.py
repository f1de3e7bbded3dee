"""What a training job asks a scheduler for: time, memory, priority, and whom it shares with. Imports nothing heavy."""

from math import ceil, log2

from scaling_lab.config import Config
from scaling_lab.progress import START_UP_FLOPS, work
from scaling_lab.spec import RunSpec
from scaling_lab.trunks import Trunk

# Starting Python and Lightning.
START_UP_SECONDS = 5

# An attempt that failed may have been too short or too small, so the next asks for twice as much; but no more than this
# many times, because an attempt may also have lost its node or been preempted.
LARGEST_FACTOR = 4

# Runs that are expected to take less than this share a job, by name of the group.
PACKED_SECONDS = {"seconds": 60, "minutes": 600}


def expected_seconds(spec: RunSpec, config: Config) -> float:
    """Wall time of a run at the stated speed, with its start; all 48 of the default study within a factor of 2.5.

    All of the run, also where its trunk is there: without the trunk's checkpoint all of it is trained.
    """
    flops = work(spec.flops("matmul"), spec.tokens) - START_UP_FLOPS
    return START_UP_SECONDS + flops / (config.resources.flops_per_second * config.devices * config.nodes)


def runtime_minutes(spec: RunSpec, config: Config, attempt: int = 1) -> int:
    """Minutes to ask for: five to start on a busy file system, and the expected time with its margin."""
    return ceil(5 + config.resources.time_margin * expected_seconds(spec, config) / 60) * _factor(attempt)


def memory_mb(spec: RunSpec, config: Config, attempt: int = 1) -> int:
    """Megabytes to ask for: the libraries, weights with gradients (of micro-batches twice) and two moments, activations
    and the tokens, in each of the processes that share the run on a node.
    """
    a = spec.architecture
    weights = (16 if spec.micro_batches == 1 else 20) * a.shape.params_total
    activations = spec.batch_tokens / spec.micro_batches * (34 * a.depth * a.d_model + 3 * a.vocab_size) * 4
    process = 1000 + (weights + activations + 10 * spec.data_tokens) / 1e6
    return ceil(process * config.devices) * _factor(attempt)


def threads(config: Config) -> int:
    """Processors to ask for on each node: at least one for each process that shares a run there."""
    return max(config.threads, config.devices)


def gpus_of_the_job(config: Config) -> int:
    """GPUs to ask for as a number for the whole job, which SLURM may spread unevenly: of a job on one node."""
    return config.resources.gpus if config.nodes == 1 else 0


def gpus_of_each_node(config: Config) -> str | None:
    """GPUs to ask for on each of several nodes, as `gres`."""
    return f"gpu:{config.resources.gpus}" if config.nodes > 1 and config.resources.gpus else None


def tasks(config: Config) -> int | None:
    """Tasks of a job, one for each node; none to ask for with GPUs, where the plugin takes it for tasks of each GPU."""
    return None if config.resources.gpus else config.nodes


def _factor(attempt: int) -> int:
    return min(1 << (attempt - 1), LARGEST_FACTOR)


def pack(spec: RunSpec, config: Config, job: str = "train") -> str | None:
    """Group whose members may share an allocation, `train_seconds` or `train_minutes`; none for longer runs.

    How many share one is `group-components` of the profile; they train one after another (profiles/README.md). Runs of
    several devices or nodes never share.
    """
    if config.devices * config.nodes > 1:
        return None
    expected = expected_seconds(spec, config)
    return next((f"{job}_{name}" for name, limit in PACKED_SECONDS.items() if expected < limit), None)


def trunk_pack(trunk: Trunk, config: Config) -> str | None:
    """The same for all segments of a trunk: one with a job of its own would wait for and be waited for by the pack."""
    return pack(trunk.segment(trunk.branches[-1]), config, "trunk")


def priority(spec: RunSpec) -> int:
    """Long runs first, so that no core waits for one at the end."""
    return int(100 * log2(spec.flops("matmul")))


def trunk_priority(trunk: Trunk) -> int:
    """Before every run, the longest trunk first: cooldowns wait for its segments, which come one after the other."""
    return 20_000 + priority(trunk.segment(trunk.branches[-1]))

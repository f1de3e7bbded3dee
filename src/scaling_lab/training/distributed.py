"""Several devices for one run: what each process is, and how they share the work.

Lightning starts the same command once more for each further device, with LOCAL_RANK set; the first process holds the
run's lock and writes its files, the others take part in every collective and write nothing.
"""

import ctypes
import os
import signal
import sys

import torch
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard

from scaling_lab.errors import ConfigError
from scaling_lab.spec import RunSpec
from scaling_lab.training.compilation import blocks_of


def is_first_process() -> bool:
    """Whether this process was started by the user or the workflow, not by Lightning for a further device."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def end_with_the_first_process() -> None:
    """Let the kernel end this process when the one that started it is killed: it would wait for it for ever."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def check_devices(spec: RunSpec, devices: int, strategy: str) -> None:
    """Raise ConfigError, naming the key, where a run cannot be trained on so many devices, or not so here."""
    spec.check_devices(devices)
    if torch.cuda.is_available() and torch.cuda.device_count() < devices:
        raise ConfigError(f"devices: {devices} are asked for; this machine has {torch.cuda.device_count()} GPUs")
    if strategy == "fsdp" and spec.stopping is not None:
        raise ConfigError("strategy: fsdp cannot keep the best weights of early stopping; allowed: auto or ddp")


def make_strategy(name: str, devices: int) -> Strategy | str:
    """Lightning's strategy: none for one device, DDP, or FSDP2, whose shards meet in one file per checkpoint."""
    if name == "fsdp":
        return ModelParallelStrategy(
            data_parallel_size=devices, tensor_parallel_size=1, save_distributed_checkpoint=False
        )
    if name == "ddp" or devices > 1:
        return DDPStrategy(broadcast_buffers=False)
    return "auto"


def shard(model: nn.Module, mesh: DeviceMesh) -> None:
    """Shard the parameters over the devices of `mesh`: each block on its own, gathered when it is its turn."""
    for block in blocks_of(model):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)

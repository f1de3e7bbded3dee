"""Several devices for one run, and how they share the work.

Lightning starts the same command once more for each further device of a node, with LOCAL_RANK set; the first process
holds the run's lock and writes its files, the others take part in every collective and write nothing.
"""

import torch
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard

from scaling_lab.errors import ConfigError
from scaling_lab.nodes import check_nodes
from scaling_lab.spec import RunSpec
from scaling_lab.training.compilation import blocks_of


def check_devices(spec: RunSpec, devices: int, nodes: int, strategy: str) -> None:
    """Raise ConfigError, naming the key, where a run cannot be trained on so many devices a node, or not so here."""
    spec.check_devices(devices, nodes)
    check_nodes(nodes)
    if torch.cuda.is_available() and torch.cuda.device_count() < devices:
        raise ConfigError(f"devices: {devices} are asked for; this machine has {torch.cuda.device_count()} GPUs")
    if strategy == "fsdp" and spec.stopping is not None:
        raise ConfigError("strategy: fsdp cannot keep the best weights of early stopping; allowed: auto or ddp")


def make_strategy(name: str, processes: int) -> Strategy | str:
    """Lightning's strategy: none for one process, DDP, or FSDP2, whose shards meet in one file per checkpoint."""
    if name == "fsdp":
        return ModelParallelStrategy(
            data_parallel_size=processes, tensor_parallel_size=1, save_distributed_checkpoint=False
        )
    if name == "ddp" or processes > 1:
        return DDPStrategy(broadcast_buffers=False)
    return "auto"


def shard(model: nn.Module, mesh: DeviceMesh) -> None:
    """Shard the parameters over the devices of `mesh`: each block on its own, gathered when it is its turn."""
    for block in blocks_of(model):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)

"""config/config.yaml and its overlays: dataset, recipe, which studies, and how jobs are executed."""

from typing import Literal, Self

from pydantic import Field, model_validator

from scaling_lab.config.data import DataConfig
from scaling_lab.config.training import TrainingConfig
from scaling_lab.frozen import Frozen

Strategy = Literal["auto", "ddp", "fsdp"]


class ResourcesConfig(Frozen):
    """What the training jobs ask a scheduler for. None of it is part of a run's identity."""

    flops_per_second: float = Field(
        default=5e10,
        gt=0,
        allow_inf_nan=False,
        description="training FLOP/s of one core or GPU: `scaling-lab dry-run` prints what finished runs reached",
    )
    time_margin: float = Field(default=3, ge=1, le=100, description="time asked for over time expected")
    gpus: int = Field(default=0, ge=0, description="GPUs of one training job on each of its nodes; 0 trains on CPUs")


class Config(DataConfig):
    """config/config.yaml and its overlays."""

    training: TrainingConfig = TrainingConfig()
    resources: ResourcesConfig = ResourcesConfig()
    studies: tuple[str, ...] = Field(default=("default",), min_length=1, description="files of config/studies")
    scale: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_]+$",
        description="folder of config/studies with the keys in which each study differs at another scale",
    )
    threads: int = Field(
        default=1,
        ge=1,
        description="threads of one training job on each of its nodes, over its processes there; more than 1 pay only"
        " where runs are fewer than cores and large (benchmarks/training); not part of a run's identity",
    )
    checkpoint_seconds: float = Field(
        default=30, ge=0, description="wall time between checkpoints; not part of a run's identity either"
    )
    checkpoint_tokens: int | None = Field(
        default=None, ge=1, description="tokens between checkpoints, besides those by wall time; execution only as well"
    )
    devices: int = Field(
        default=1, ge=1, description="GPUs (on a CPU: processes) of one training job on each node; execution only"
    )
    nodes: int = Field(
        default=1, ge=1, description="nodes of one training job, on SLURM where more than 1; execution only as well"
    )
    strategy: Strategy = Field(
        default="auto", description="how several devices share a run: ddp (auto), or fsdp, which shards the weights"
    )
    compile: bool = Field(
        default=False,
        description="torch.compile the blocks of Transformers, for runs of many minutes on a GPU; on a CPU slower"
        " (benchmarks/training); execution only",
    )

    @model_validator(mode="after")
    def _devices_are_the_gpus(self) -> Self:
        if self.resources.gpus not in (0, self.devices):
            raise ValueError(
                f"resources.gpus: {self.resources.gpus} GPUs are asked for and devices: {self.devices} are used"
            )
        return self

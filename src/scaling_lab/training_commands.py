"""The commands that train, by the trainer server or here; and the one that draws instead of training."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scaling_lab.study_commands import Output

TokenManifest = Annotated[Path, typer.Option(help="manifest.json of the token store")]
Threads = Annotated[int, typer.Option(help="over all devices of a node")]
CheckpointSeconds = Annotated[
    float, typer.Option(help="wall time between checkpoints", envvar="SCALING_LAB_CHECKPOINT_SECONDS")
]
CheckpointTokens = Annotated[
    int | None, typer.Option(help="tokens between checkpoints", envvar="SCALING_LAB_CHECKPOINT_TOKENS")
]
Devices = Annotated[int, typer.Option(help="GPUs of a node, or processes on a CPU", envvar="SCALING_LAB_DEVICES")]
Nodes = Annotated[int, typer.Option(help="nodes of the SLURM job that this runs in", envvar="SCALING_LAB_NODES")]
Strategy = Annotated[
    str, typer.Option(help="auto, ddp or fsdp: how devices share a run", envvar="SCALING_LAB_STRATEGY")
]

Compile = Annotated[bool, typer.Option(help="compile the blocks of Transformers", envvar="SCALING_LAB_COMPILE")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (train, train_trunk, simulate):
        app.command()(command)


def train(
    spec: Path,
    trunk: Annotated[Path | None, typer.Argument(help="manifest of the trunk, for a run that is its cooldown")] = None,
    *,
    dataset: TokenManifest,
    threads: Threads = 1,
    checkpoint_seconds: CheckpointSeconds = 30,
    checkpoint_tokens: CheckpointTokens = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    strategy: Strategy = "auto",
    compile: Compile = False,
) -> None:
    """Train the run of a spec.json, in its folder; goes on from its checkpoint, or from that of its trunk.

    SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 write a checkpoint and end it with exit code 75: run it again.
    """
    from scaling_lab.finished import adopt_finished, keep_finished

    files = {"spec": str(spec), "trunk": trunk and str(trunk), "dataset": str(dataset)}
    execution = _execution(
        threads=threads,
        checkpoint_seconds=checkpoint_seconds,
        checkpoint_tokens=checkpoint_tokens,
        devices=devices,
        nodes=nodes,
        strategy=strategy,
        compile=compile,
    )
    if not adopt_finished(spec.parent, dataset):
        _perform("train", files, execution)
        keep_finished(spec.parent, dataset)


def train_trunk(
    spec: Path,
    start: Annotated[Path | None, typer.Argument(help="manifest of the segment before")] = None,
    *,
    tokens: Annotated[int, typer.Option(help="where the segment ends")],
    dataset: TokenManifest,
    threads: Threads = 1,
    checkpoint_seconds: CheckpointSeconds = 30,
    checkpoint_tokens: CheckpointTokens = None,
    devices: Devices = 1,
    nodes: Nodes = 1,
    strategy: Strategy = "auto",
    compile: Compile = False,
    output: Output,
) -> None:
    """Train a segment of the constant-rate trunk that runs of several horizons share. Signals: as `train`."""
    files = {"spec": str(spec), "start": start and str(start), "dataset": str(dataset), "manifest": str(output)}
    execution = _execution(
        threads=threads,
        checkpoint_seconds=checkpoint_seconds,
        checkpoint_tokens=checkpoint_tokens,
        devices=devices,
        nodes=nodes,
        strategy=strategy,
        compile=compile,
    )
    _perform("train_trunk", files | {"tokens": tokens}, execution)


def simulate(spec: Path) -> None:
    """Draw the run of a spec.json from the published laws that it names, in its folder, instead of training it."""
    from scaling_lab.simulator.run import simulate
    from scaling_lab.spec import RunSpec

    simulate(RunSpec.from_json(spec.read_text(encoding="utf-8")), spec.parent)


def _execution(**fields: Any) -> dict[str, Any]:
    """Fields of `training.engine.Execution`, checked as the keys of the configuration that they are."""
    from scaling_lab.config import Config, parse_config

    return parse_config(Config, fields, "train").model_dump(include=set(fields))


def _perform(job: str, files: dict[str, Any], execution: dict[str, Any]) -> None:
    """Have the trainer server do a training job, or do it here where none serves; end as it ended if it failed."""
    from scaling_lab.trainer.client import run_on_server, should_serve

    arguments = files | execution
    status = run_on_server(job, arguments) if should_serve(arguments) else None
    if status is None:
        from scaling_lab.training.job import perform

        perform(job, arguments)
    if status:
        raise typer.Exit(status)

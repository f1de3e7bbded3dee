"""What training jobs share: a prepared process, a locked folder, Lightning driven from the last whole checkpoint."""

import ctypes
import fcntl
import logging
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException

from scaling_lab.config import Strategy
from scaling_lab.corpus.store import TokenStore
from scaling_lab.errors import TrainingError
from scaling_lab.nodes import CHECKPOINT_VARIABLE, other_nodes
from scaling_lab.processes import is_first_process, signal_when_parent_dies
from scaling_lab.spec import RunSpec
from scaling_lab.training.callbacks import Checkpointer, Progress
from scaling_lab.training.checkpoints import latest_checkpoint
from scaling_lab.training.compilation import compile_blocks
from scaling_lab.training.curves import evaluation_steps
from scaling_lab.training.data import TokenDataModule, evaluation_windows
from scaling_lab.training.distributed import check_devices, make_strategy
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.recorder import Recorder
from scaling_lab.training.signals import StopRequest, stop_request
from scaling_lab.training.stopping import stopping_steps

# Optimizer steps of one call into Lightning: makes its price per step vanish (shared/performance.md).
CHUNK_STEPS = 16


@dataclass(frozen=True)
class Execution:
    """How a job is trained; none of it is part of a run's identity. Devices are of each node, threads over them."""

    threads: int = 1
    checkpoint_seconds: float = 30
    checkpoint_tokens: int | None = None
    devices: int = 1
    nodes: int = 1
    strategy: Strategy = "auto"
    compile: bool = False

    @property
    def processes(self) -> int:
        """One for each device of all nodes."""
        return self.nodes * self.devices


@dataclass(frozen=True)
class Trained:
    """A job whose training has ended, while its lock is held."""

    trainer: pl.Trainer
    module: LanguageModel
    store: TokenStore
    recorder: Recorder
    request: StopRequest


@contextmanager
def training(spec: RunSpec, dataset: Path, folder: Path, execution: Execution, start: Path | None) -> Iterator[Trained]:
    """Train `spec` to its end from the newest whole checkpoint in `folder`, or else in `start`, or else from nothing.

    A second process on the same folder waits for the first.

    Raises:
        TrainingError: the vocabulary or the text does not fit the spec.
        ConfigError: the batch cannot be shared by the devices, or there are no such devices or nodes.
        InterruptedTrainingError: a signal asked to stop; a checkpoint was written.
    """
    check_devices(spec, execution.devices, execution.nodes, execution.strategy)
    folder.mkdir(parents=True, exist_ok=True)
    prepare_process(max(1, execution.threads // execution.devices))
    with _exclusive(folder), stop_request() as request:
        store = TokenStore(dataset / "manifest.json")
        _check_store(spec, store)
        recorder = _recorder(spec, store)
        pl.seed_everything(spec.seed, workers=True, verbose=False)
        module = LanguageModel(spec, stop_requested=lambda: execution.processes == 1 and bool(request))
        if execution.compile:
            compile_blocks(module.model)
        checkpointer = _checkpointer(spec, folder, recorder, request, execution)
        progress = Progress(folder / "progress.json", recorder)
        trainer = _trainer(spec, folder, [recorder, checkpointer, progress], execution)
        resume = _resume(folder, start)
        with other_nodes(execution.nodes, resume):
            _fit(trainer, module, store, checkpointer, resume)
            yield Trained(trainer, module, store, recorder, request)


def last_checkpoint(folder: Path | None) -> Path | None:
    """The newest whole checkpoint of the job in `folder`, if any."""
    return latest_checkpoint(folder / "checkpoints") if folder else None


def _resume(folder: Path, start: Path | None) -> Path | None:
    """Where to go on: the job's newest whole checkpoint, else that of `start`; on other nodes what the first found."""
    told = os.environ.get(CHECKPOINT_VARIABLE)
    if told is not None:
        return Path(told) if told else None
    return last_checkpoint(folder) or last_checkpoint(start)


def _recorder(spec: RunSpec, store: TokenStore) -> Recorder:
    steps = np.union1d(evaluation_steps(spec), stopping_steps(spec))
    windows = evaluation_windows(store, "validation", spec) if len(steps) else torch.empty(0, dtype=torch.int64)
    return Recorder(spec, windows, set(steps.tolist()))


def _checkpointer(
    spec: RunSpec, folder: Path, recorder: Recorder, request: StopRequest, execution: Execution
) -> Checkpointer:
    tokens = execution.checkpoint_tokens
    every = spec.steps if tokens is None else max(1, tokens // spec.batch_tokens)
    steps = {*range(every, spec.steps, every), spec.steps}
    return Checkpointer(folder / "checkpoints", recorder, request, execution.checkpoint_seconds, steps)


def _fit(
    trainer: pl.Trainer, module: LanguageModel, store: TokenStore, checkpointer: Checkpointer, resume: Path | None
) -> None:
    marks = np.array(sorted(checkpointer.recorder.evaluation_steps | checkpointer.steps), dtype=np.int64)
    chunk_steps = CHUNK_STEPS if trainer.world_size == 1 else 1  # devices agree on signals between chunks
    data = TokenDataModule(store, module.spec, chunk_steps, marks)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=False)
    except SIGTERMException:  # the signal met Lightning's own handler, before the callback took its place
        checkpointer.request.raise_if_set("stopped before the first step")


def _trainer(spec: RunSpec, folder: Path, callbacks: list[pl.Callback], execution: Execution) -> pl.Trainer:
    return pl.Trainer(
        default_root_dir=folder,
        accelerator="auto",
        devices=execution.devices,
        num_nodes=execution.nodes,
        strategy=make_strategy(execution.strategy, execution.processes),
        precision="bf16-mixed" if torch.cuda.is_available() else "32-true",
        deterministic="warn" if torch.cuda.is_available() else None,  # the same bits again after an interruption
        max_steps=spec.steps,
        callbacks=callbacks,
        plugins=[LightningEnvironment()],  # under SLURM too: Snakemake owns requeueing
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _check_store(spec: RunSpec, store: TokenStore) -> None:
    vocabulary, tokens = store.vocab_size, store.tokens("train")
    if vocabulary != spec.architecture.vocab_size:
        raise TrainingError(
            f"run {spec.run_id}: vocab_size is {spec.architecture.vocab_size}, but {spec.dataset} has {vocabulary}"
        )
    if tokens < spec.data_tokens:
        key = "tokens" if spec.unique_tokens is None else "unique_tokens"
        raise TrainingError(
            f"run {spec.run_id}: {key} asks for {spec.data_tokens} tokens, {spec.dataset} has {tokens} to train on"
        )


def prepare_process(threads: int) -> None:
    """Threads, quiet libraries, and an allocator that keeps what it has: for this process, before it trains."""
    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        # glibc returns large blocks to the kernel at every step; keeping them is 1.1 to 1.45 times as fast
        # where logits are large (shared/performance.md).
        mallopt, trim_threshold, mmap_threshold = ctypes.CDLL(None).mallopt, -1, -3
        mallopt(trim_threshold, 1 << 30)
        mallopt(mmap_threshold, 1 << 30)


@contextmanager
def _exclusive(run_dir: Path) -> Iterator[None]:
    """Hold the run's lock. The kernel frees it when its holder dies, so it can never be stale.

    Processes of further devices and nodes rely on the first one's, and end with the process that started them.
    """
    if not is_first_process():
        signal_when_parent_dies()
        yield
        return
    with (run_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

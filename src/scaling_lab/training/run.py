"""Train one run: from its spec and tokens to metrics.parquet and summary.json, through any number of interruptions."""

import ctypes
import fcntl
import logging
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException

from scaling_lab.config import Strategy
from scaling_lab.corpus.store import TokenStore
from scaling_lab.errors import TrainingError
from scaling_lab.spec import RunSpec
from scaling_lab.training.callbacks import Checkpointer, Progress
from scaling_lab.training.checkpoints import latest_checkpoint
from scaling_lab.training.curves import Scale, evaluation_steps
from scaling_lab.training.data import TokenDataModule, evaluation_windows
from scaling_lab.training.device import device_name, peak_flops_per_s
from scaling_lab.training.distributed import check_devices, end_with_the_first_process, is_first_process, make_strategy
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.recorder import Recorder
from scaling_lab.training.results import Evaluations, evaluate, write_results
from scaling_lab.training.signals import StopRequest, stop_request
from scaling_lab.training.stopping import stopping_steps

# Optimizer steps of one call into Lightning: makes its price per step vanish (shared/performance.md).
CHUNK_STEPS = 16


def train(
    spec: RunSpec,
    dataset: Path,
    run_dir: Path,
    *,
    threads: int,
    checkpoint_seconds: float = 30,
    checkpoint_tokens: int | None = None,
    devices: int = 1,
    strategy: Strategy = "auto",
) -> None:
    """Train `spec` on the token store in `dataset`; write `metrics.parquet` and `summary.json` into `run_dir`.

    Goes on from the newest whole checkpoint in `run_dir`. A second process on the same run waits for the first. Nothing
    after `run_dir` is part of the run's identity; with several devices, Lightning starts this process again for each.

    Raises:
        TrainingError: the vocabulary or the text does not fit the spec.
        ConfigError: the batch cannot be shared by the devices.
        InterruptedTrainingError: a signal asked to stop; a checkpoint was written.
    """
    check_devices(spec, devices, strategy)
    run_dir.mkdir(parents=True, exist_ok=True)
    _prepare_process(max(1, threads // devices))
    with _exclusive(run_dir), stop_request() as request:
        store = TokenStore(dataset / "manifest.json")
        _check_store(spec, store)
        recorder = _recorder(spec, store)
        pl.seed_everything(spec.seed, workers=True, verbose=False)
        module = LanguageModel(spec, stop_requested=lambda: devices == 1 and bool(request))
        checkpointer = _checkpointer(spec, run_dir, recorder, request, checkpoint_seconds, checkpoint_tokens)
        trainer = _trainer(spec, run_dir, [recorder, checkpointer, Progress(run_dir / "progress.json", recorder)],
                           devices, strategy)  # fmt: skip
        _fit(trainer, module, store, checkpointer)
        evaluations = _evaluate(trainer, module, store, recorder, request)
        if trainer.is_global_zero:
            device = trainer.strategy.root_device
            scale = Scale(store.bytes_per_token("validation"), peak_flops_per_s(device, devices))
            execution = {"device": device_name(device), "devices": devices, "threads": threads}
            write_results(run_dir, spec, recorder.history, evaluations, scale, execution)


def _recorder(spec: RunSpec, store: TokenStore) -> Recorder:
    steps = np.union1d(evaluation_steps(spec.steps, spec.evaluation.points), stopping_steps(spec))
    return Recorder(spec, evaluation_windows(store, "validation", spec), set(steps.tolist()))


def _checkpointer(
    spec: RunSpec, run_dir: Path, recorder: Recorder, request: StopRequest, seconds: float, tokens: int | None
) -> Checkpointer:
    every = spec.steps if tokens is None else max(1, tokens // spec.batch_tokens)
    steps = {*range(every, spec.steps, every), spec.steps}
    return Checkpointer(run_dir / "checkpoints", recorder, request, seconds, steps)


def _fit(trainer: pl.Trainer, module: LanguageModel, store: TokenStore, checkpointer: Checkpointer) -> None:
    spec = module.spec
    marks = np.array(sorted(checkpointer.recorder.evaluation_steps | checkpointer.steps), dtype=np.int64)
    chunk_steps = CHUNK_STEPS if trainer.world_size == 1 else 1  # devices agree on signals between chunks
    data = TokenDataModule(store, spec, chunk_steps, marks)
    resume = latest_checkpoint(checkpointer.folder)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=False)
    except SIGTERMException:  # the signal met Lightning's own handler, before the callback took its place
        checkpointer.request.raise_if_set("stopped before the first step")


def _trainer(
    spec: RunSpec, run_dir: Path, callbacks: list[pl.Callback], devices: int, strategy: Strategy
) -> pl.Trainer:
    return pl.Trainer(
        default_root_dir=run_dir,
        accelerator="auto",
        devices=devices,
        strategy=make_strategy(strategy, devices),
        precision="bf16-mixed" if torch.cuda.is_available() else "32-true",
        max_steps=spec.steps,
        callbacks=callbacks,
        plugins=[LightningEnvironment()],  # under SLURM too: Snakemake owns requeueing
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _evaluate(
    trainer: pl.Trainer, module: LanguageModel, store: TokenStore, recorder: Recorder, request: StopRequest
) -> Evaluations:
    """Losses of the final weights, or of the best ones where the spec stops early; none of a run that diverged."""
    if recorder.history.diverged_at is not None:
        return {}
    if recorder.best_weights is not None:
        module.model.load_state_dict(recorder.best_weights)
    module.to(trainer.strategy.root_device)  # Lightning left it on the CPU
    return evaluate(module.spec, store, module, request)


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


def _prepare_process(threads: int) -> None:
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

    Processes of further devices rely on the first one's.
    """
    if not is_first_process():
        end_with_the_first_process()
        yield
        return
    with (run_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

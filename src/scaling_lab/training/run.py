"""Train one run: from its spec and tokens to metrics.parquet and summary.json, through any number of interruptions."""

import ctypes
import fcntl
import logging
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException

from scaling_lab.corpus.store import TokenStore
from scaling_lab.errors import TrainingError
from scaling_lab.spec import RunSpec
from scaling_lab.training.callbacks import Checkpointer, Progress
from scaling_lab.training.checkpoints import latest_checkpoint
from scaling_lab.training.curves import Scale, evaluation_steps
from scaling_lab.training.data import TokenDataModule, evaluation_windows
from scaling_lab.training.device import device_name, peak_flops_per_s
from scaling_lab.training.distributed import check_devices, end_with_the_first_process, is_first_process, make_strategy
from scaling_lab.training.execution import Execution
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.recorder import Recorder
from scaling_lab.training.results import Evaluations, evaluate, write_results
from scaling_lab.training.signals import StopRequest, stop_request
from scaling_lab.training.stopping import stopping_steps

# Optimizer steps of one call into Lightning: makes its price per step vanish (shared/performance.md).
CHUNK_STEPS = 16


def train(spec: RunSpec, dataset: Path, run_dir: Path, *, trunk_dir: Path | None = None, **execution: Any) -> None:
    """Train `spec` on the token store in `dataset`; write `metrics.parquet` and `summary.json` into `run_dir`.

    Goes on from the newest whole checkpoint in `run_dir`, else from that of its trunk in `trunk_dir`. A second process
    on the same run waits for the first. `execution`: fields of `Execution`.

    Raises:
        TrainingError: the vocabulary or the text does not fit the spec.
        ConfigError: the batch cannot be shared by the devices.
        InterruptedTrainingError: a signal asked to stop; a checkpoint was written.
    """
    how = Execution(**execution)
    with prepared(spec, dataset, run_dir, how) as (store, request):
        fitted = fit(spec, store, run_dir, how, request, trunk_dir)
        evaluations = _evaluate(fitted, store, request)
        if fitted.trainer.is_global_zero:
            device = fitted.trainer.strategy.root_device
            scale = Scale(store.bytes_per_token("validation"), peak_flops_per_s(device, how.devices))
            history = fitted.recorder.history
            write_results(run_dir, spec, history, evaluations, scale, how, device=device_name(device))


@contextmanager
def prepared(spec: RunSpec, dataset: Path, folder: Path, how: Execution) -> Iterator[tuple[TokenStore, StopRequest]]:
    """The token store, once it is known to fit the spec, and the signals, while this process alone trains in `folder`.

    Raises:
        TrainingError: the vocabulary or the text does not fit the spec.
        ConfigError: the batch cannot be shared by the devices.
    """
    check_devices(spec, how.devices, how.strategy)
    folder.mkdir(parents=True, exist_ok=True)
    _prepare_process(max(1, how.threads // how.devices))
    with _exclusive(folder), stop_request() as request:
        store = TokenStore(dataset / "manifest.json")
        _check_store(spec, store)
        yield store, request


@dataclass(frozen=True)
class Fitted:
    """What training leaves in memory: the recorder with the whole history, the trained module, the trainer."""

    recorder: Recorder
    module: LanguageModel
    trainer: pl.Trainer


def last_checkpoint(folder: Path | None) -> Path | None:
    """The newest whole checkpoint that training in `folder` has reached, if any."""
    return latest_checkpoint(folder / "checkpoints") if folder else None


def fit(
    spec: RunSpec, store: TokenStore, folder: Path, how: Execution, request: StopRequest, start_dir: Path | None
) -> Fitted:
    """Train to the end of the spec, from the checkpoint in `folder`, or else in `start_dir`, or else from nothing."""
    evaluated = np.union1d(evaluation_steps(spec), stopping_steps(spec))
    saved = how.checkpoint_steps(spec)
    windows = evaluation_windows(store, "validation", spec) if len(evaluated) else torch.empty(0, dtype=torch.int64)
    recorder = Recorder(spec, windows, set(evaluated.tolist()))
    checkpointer = Checkpointer(folder / "checkpoints", recorder, request, how.checkpoint_seconds, set(saved.tolist()))
    trainer = _trainer(spec, folder, [recorder, checkpointer, Progress(folder / "progress.json", recorder)], how)
    pl.seed_everything(spec.seed, workers=True, verbose=False)
    module = LanguageModel(spec, stop_requested=lambda: how.devices == 1 and bool(request))
    chunk_steps = CHUNK_STEPS if how.devices == 1 else 1  # devices agree on signals between chunks
    data = TokenDataModule(store, spec, chunk_steps, np.union1d(evaluated, saved))
    resume = last_checkpoint(folder) or last_checkpoint(start_dir)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=False)
    except SIGTERMException:  # the signal met Lightning's own handler, before the callback took its place
        request.raise_if_set("stopped before the first step")
    return Fitted(recorder, module, trainer)


def _trainer(spec: RunSpec, folder: Path, callbacks: list[pl.Callback], how: Execution) -> pl.Trainer:
    return pl.Trainer(
        default_root_dir=folder,
        accelerator="auto",
        devices=how.devices,
        strategy=make_strategy(how.strategy, how.devices),
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


def _evaluate(fitted: Fitted, store: TokenStore, request: StopRequest) -> Evaluations:
    """Losses of the final weights, or of the best ones where the spec stops early; none of a run that diverged."""
    if fitted.recorder.history.diverged_at is not None:
        return {}
    if fitted.recorder.best_weights is not None:
        fitted.module.model.load_state_dict(fitted.recorder.best_weights)
    fitted.module.to(fitted.trainer.strategy.root_device)  # Lightning left it on the CPU
    return evaluate(fitted.module.spec, store, fitted.module, request)


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

"""Train one run: from its spec and tokens to metrics.parquet and summary.json, through any number of interruptions."""

import ctypes
import fcntl
import json
import logging
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pyarrow.parquet as pq
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from scaling_lab.corpus.store import TokenStore
from scaling_lab.errors import TrainingError
from scaling_lab.files import atomic_path, write_text
from scaling_lab.spec import RunSpec
from scaling_lab.training.callbacks import AtomicCheckpoint, Progress, Recorder
from scaling_lab.training.curves import curve_table, evaluation_steps
from scaling_lab.training.data import TokenDataModule, evaluation_windows
from scaling_lab.training.evaluation import loss_by_position
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.summary import evaluation, summarize

# Optimizer steps of one call into Lightning: makes its price per step vanish (shared/performance.md).
CHUNK_STEPS = 16


def train(
    spec: RunSpec,
    dataset: Path,
    run_dir: Path,
    *,
    threads: int,
    checkpoint_seconds: float = 30,
    trunk_dir: Path | None = None,
) -> None:
    """Train `spec` on the token store in `dataset`; write `metrics.parquet` and `summary.json` into `run_dir`.

    Goes on from the checkpoint in `run_dir` when there is one, else from that of its trunk in `trunk_dir`. A second
    process on the same run waits for the first.

    Raises:
        TrainingError: the vocabulary or the text does not fit the spec, or the loss is not finite.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with prepared_store(spec, dataset, run_dir, threads) as store:
        recorder, module, device = fit(spec, store, run_dir, checkpoint_seconds, trunk_dir)
        evaluations = _evaluate(spec, store, module)
        with atomic_path(run_dir / "metrics.parquet") as partial:
            pq.write_table(curve_table(spec, recorder.history), partial)
        history = recorder.history
        summary = summarize(
            spec,
            evaluations,
            train_loss_nats=history.smoothed(spec.steps),
            starts=history.starts,
            wall_s=history.seconds,
            device=device,
            threads=threads,
        )
        write_text(run_dir / "summary.json", json.dumps(summary, indent=1))


@contextmanager
def prepared_store(spec: RunSpec, dataset: Path, folder: Path, threads: int) -> Iterator[TokenStore]:
    """The token store, once it is known to fit the spec, while this process alone trains in `folder`.

    Raises:
        TrainingError: the vocabulary or the text does not fit the spec.
    """
    _prepare_process(threads)
    with _exclusive(folder):
        store = TokenStore(dataset / "manifest.json")
        _check_store(spec, store)
        yield store


def last_checkpoint(folder: Path | None) -> Path | None:
    """The checkpoint that training in `folder` has reached, if any."""
    path = folder / "checkpoints" / "last.ckpt" if folder else None
    return path if path and path.exists() else None


def fit(
    spec: RunSpec, store: TokenStore, run_dir: Path, checkpoint_seconds: float, start_dir: Path | None
) -> tuple[Recorder, LanguageModel, str]:
    """Train to the end of the spec, from the checkpoint in `run_dir`, or else in `start_dir`, or else from nothing.

    Returns the recorder with the whole history, the trained module and the device.
    """
    marks = evaluation_steps(spec)
    checkpoint = run_dir / "checkpoints" / "last.ckpt"
    windows = evaluation_windows(store, "validation", spec) if len(marks) else torch.empty(0, dtype=torch.int64)
    recorder = Recorder(windows, set(marks.tolist()))
    callbacks = [
        recorder,
        AtomicCheckpoint(checkpoint, checkpoint_seconds, spec.steps),
        Progress(run_dir / "progress.json", recorder),
    ]
    pl.seed_everything(spec.seed, workers=True, verbose=False)
    module = LanguageModel(spec)
    trainer = _trainer(spec, run_dir, callbacks)
    data = TokenDataModule(store, spec, CHUNK_STEPS, marks)
    resume = last_checkpoint(run_dir) or last_checkpoint(start_dir)
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=False)
    return recorder, module, str(trainer.strategy.root_device)


def _trainer(spec: RunSpec, run_dir: Path, callbacks: list[Any]) -> pl.Trainer:
    return pl.Trainer(
        default_root_dir=run_dir,
        accelerator="auto",
        devices=1,
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


def _evaluate(spec: RunSpec, store: TokenStore, module: LanguageModel) -> dict[str, dict[str, Any]]:
    results = {}
    for name in spec.evaluation.sets:
        windows = evaluation_windows(store, name, spec)
        by_position = loss_by_position(module.model, windows)
        loss = by_position.mean().item()
        results[name] = evaluation(loss, by_position.tolist(), store.bytes_per_token(name), len(windows))
    return results


def _check_store(spec: RunSpec, store: TokenStore) -> None:
    vocabulary, tokens = store.vocab_size, store.tokens("train")
    if vocabulary != spec.architecture.vocab_size:
        raise TrainingError(
            f"run {spec.run_id}: vocab_size is {spec.architecture.vocab_size}, but {spec.dataset} has {vocabulary}"
        )
    if tokens < spec.tokens:
        raise TrainingError(
            f"run {spec.run_id}: asks for {spec.tokens} tokens, {spec.dataset} has {tokens} to train on"
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
    """Hold the run's lock. The kernel frees it when its holder dies, so it can never be stale."""
    with (run_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

"""The studies that ship at CPU scale, their runs planted: a Hoffmann surface, and what schedule and recipe do to it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scaling_lab.dry_run import read_configuration
from scaling_lab.experiment import Experiment, load_experiment
from scaling_lab.science.accounting import FLOPS_CONVENTIONS
from scaling_lab.science.laws import Array, data_constrained
from scaling_lab.spec import RunSpec
from scaling_lab.training.schedule import learning_rate

REPOSITORY = Path(__file__).parents[2]
# Near the losses of the default text: 4.5 nats at 1e11 FLOPs, where about 1e4 parameters are best.
LAW = {"E": 1.8, "A": 15.0, "B": 108.0, "alpha": 0.3, "beta": 0.32}
R_D, R_N = 6.0, 4.0
POINTS = 50


@dataclass(frozen=True)
class Planted:
    """How much the loss rises in log at the peak rate, and the square of log(N / 55,296) at an untuned rate."""

    noise: float = 0.001
    peak: float = 0.06
    R_N: float = R_N
    rate: float = 0.0  # curvature in the log of the rate over 0.25 N^-0.3
    untuned: float = 0.01


@cache
def experiment() -> Experiment:
    overlays = [REPOSITORY / "config" / "chinchilla_cpu.yaml"]
    return load_experiment(read_configuration(REPOSITORY, overlays), REPOSITORY / "config" / "studies")


def write_study(name: str, folder: Path, planted: Planted | None = None, **changes: Any) -> tuple[Path, Path]:
    """runs.parquet and curves.parquet of a study that ships; `changes` overwrite columns of every run."""
    rng, rows, curves = np.random.default_rng(0), list[dict[str, Any]](), list[pa.Table]()
    for run, spec in experiment().study_runs[name].items():
        tokens = np.geomspace(spec.tokens * 0.02, spec.tokens, POINTS)
        loss = curve(spec, tokens, planted or Planted()) * np.exp((planted or Planted()).noise * rng.standard_normal())
        rows.append(row_of(run, spec, float(loss[-1])) | changes)
        columns = {"run": [run] * POINTS, "tokens": tokens, "progress": tokens / spec.tokens}
        curves.append(pa.table(columns | {"train_loss_smoothed_nats": loss}))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "runs.parquet")
    pq.write_table(pa.concat_tables(curves), folder / "curves.parquet")
    return folder / "runs.parquet", folder / "curves.parquet"


def curve(spec: RunSpec, tokens: Array, planted: Planted) -> Array:
    """Loss along a run: tokens of the warmup count half, the rate raises it, repeated tokens are worth less."""
    params = spec.architecture.shape.params_non_embedding
    warmup = spec.schedule.warmup_tokens
    useful = tokens - 0.5 * np.minimum(tokens, warmup)
    unique = np.minimum(float(spec.data_tokens), useful)
    rate = np.array([learning_rate(spec, int(t)) for t in tokens]) / spec.optimizer.learning_rate
    off = np.log(spec.optimizer.learning_rate / (0.25 * params**-0.3)) ** 2
    untuned = planted.untuned * np.log(params / 55_296) ** 2 if spec.batch_tokens == 1024 else 0.0
    loss = data_constrained(float(params), useful, unique, **LAW, R_N=planted.R_N, R_D=R_D)
    return np.asarray(loss * np.exp(planted.peak * rate + untuned + planted.rate * off))


def row_of(run: str, spec: RunSpec, loss: float) -> dict[str, Any]:
    shape, model = spec.architecture.shape, spec.architecture
    per_token = {name: shape.flops_per_token(name) for name, _ in FLOPS_CONVENTIONS}
    names = ("n_layer", "d_model", "n_head", "d_ff", "context", "vocab_size", "positions")
    return {
        "run": run,
        "seed": spec.seed,
        "status": "ok",
        "simulated": True,
        **{name: getattr(model, name) for name in names},
        "params_non_embedding": shape.params_non_embedding,
        "params_with_head": shape.params_with_head,
        "params_total": shape.params_total,
        "tokens": spec.tokens,
        "unique_tokens": spec.data_tokens,
        "batch_tokens": spec.batch_tokens,
        "learning_rate": spec.optimizer.learning_rate,
        "schedule": spec.schedule.name,
        "warmup_tokens": spec.schedule.warmup_tokens,
        "schedule_completed": spec.schedule.completed,
        "test_loss_nats": loss,
        **{f"flops_per_token_{name}": float(value) for name, value in per_token.items()},
        **{f"flops_{name}": float(value * spec.tokens) for name, value in per_token.items()},
    }

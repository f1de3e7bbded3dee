"""The tidy Parquet tables of a study: one row per run, one row per recorded step. Units are in the field metadata."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scaling_lab.architectures import ArchitectureSpec
from scaling_lab.errors import TableError
from scaling_lab.files import atomic_path
from scaling_lab.science.accounting import FLOPS_CONVENTIONS
from scaling_lab.spec import RunSpec

# By the beginning of a column's name, the longest that fits.
UNITS = {
    "tokens": "tokens",
    "tokens_id": "",
    "tokens_per_s": "tokens per second",
    "unique_tokens": "tokens",
    "trunk_tokens": "tokens",
    "batch_tokens": "tokens",
    "warmup_tokens": "tokens",
    "horizon_tokens": "tokens",
    "diverged_at_tokens": "tokens",
    "stopped_at_tokens": "tokens",
    "best_tokens": "tokens",
    "noise_scale_tokens": "tokens",
    "peak_memory_bytes": "bytes",
    "gradient_norm": "nats per token and unit of the parameters",
    "context": "tokens",
    "params_": "parameters",
    "flops_": "FLOP, forward and backward",
    "flops_per_token_": "FLOP per token, forward and backward",
    "flops_share_of_peak": "1",
    "loss_": "nats per token",
    "train_loss_": "nats per token",
    "validation_loss_": "nats per token",
    "test_loss_": "nats per token",
    "bits_per_byte_": "bits per byte of text",
    "validation_bits_per_byte": "bits per byte of text",
    "wall_s": "seconds",
    "learning_rate": "1",
    "progress": "share of the run's tokens",
    "schedule_completed": "share of the schedule",
    "cooldown_fraction": "share of the run's tokens",
    "final_fraction": "share of the peak rate",
}

# Columns of the model beside `architecture` and `reuse`, named as in its spec.
MODEL_FIELDS = (
    "n_layer", "d_model", "n_head", "d_ff", "context", "vocab_size", "positions", "dropout", "head_dim", "tied",
    "parametrization", "base_width", "base_depth", "bptt_tokens",
)  # fmt: skip

# Where a run ended before its horizon, and the best evaluation of one that stops early.
ENDS = ("diverged_at_tokens", "stopped_at_tokens", "best_tokens")


def collect(runs: Sequence[str], runs_folder: Path, runs_table: Path, curves_table: Path) -> None:
    """Write `runs.parquet` and `curves.parquet` of the runs with the given ids.

    Raises:
        TableError: a run's folder lacks a file, or its summary is of another run.
    """
    rows = [run_row(runs_folder / run) for run in runs]
    columns = dict.fromkeys(column for row in rows for column in row)  # runs of another text have other sets
    _write(pa.Table.from_pylist([{column: row.get(column) for column in columns} for row in rows]), runs_table)
    curves = [pq.read_table(runs_folder / run / "metrics.parquet") for run in runs]
    _write(pa.concat_tables(curves, promote_options="permissive"), curves_table)


def run_row(folder: Path) -> dict[str, Any]:
    """The row of runs.parquet of one run folder: its spec, its counts by every convention, its losses."""
    try:
        spec = RunSpec.from_json((folder / "spec.json").read_text(encoding="utf-8"))
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TableError(f"{error.filename}: missing; the run is not finished") from None
    if summary["run"] != spec.run_id:
        raise TableError(f"{folder}/summary.json: is of run {summary['run']}, not {spec.run_id}")
    counts = _counts(spec, summary["tokens"])
    return _identity(spec, summary) | _ends(summary) | counts | _losses(spec, summary) | _speed(summary)


def _identity(spec: RunSpec, summary: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": spec.run_id,
        "status": summary["status"],
        "simulated": spec.simulate is not None,
        "seed": spec.seed,
        "corpus": spec.dataset.split("-")[0],
        "tokens_id": spec.dataset,
        **_model(spec.architecture),
        "tokens": summary["tokens"],
        "horizon_tokens": spec.tokens,
        "unique_tokens": min(spec.data_tokens, summary["tokens"]),
        "steps": summary["steps"],
        "batch_tokens": spec.batch_tokens,
        "micro_batches": spec.micro_batches,
        "learning_rate": spec.optimizer.learning_rate,
        "schedule": spec.schedule.name,
        "warmup_tokens": spec.schedule.warmup_tokens,
        "cooldown_fraction": spec.schedule.cooldown_fraction,
        "final_fraction": spec.schedule.final_fraction,
        "stops_early": spec.stopping is not None,
        "trunk": spec.trunk_id if spec.shares_trunk else "",
        "trunk_tokens": spec.branch_tokens if spec.shares_trunk else 0,
        "schedule_completed": spec.schedule.completed,
    }


def _model(architecture: ArchitectureSpec) -> dict[str, Any]:
    """The fields of the model; empty where its kind has no such thing."""
    fields = {"architecture": architecture.kind} | {name: getattr(architecture, name, None) for name in MODEL_FIELDS}
    return fields | {"reuse": getattr(architecture, "reuse", 1)}


def _ends(summary: dict[str, Any]) -> dict[str, Any]:
    """Where a run ended before its horizon, and the best evaluation of one that stops early; else null."""
    return {name: summary.get(name) for name in ENDS}  # runs of earlier versions have none


def _counts(spec: RunSpec, tokens: int) -> dict[str, Any]:
    shape = spec.architecture.shape
    per_token = {name: shape.flops_per_token(name) for name, _ in FLOPS_CONVENTIONS}
    return {
        "params_non_embedding": shape.params_non_embedding,
        "params_with_reuse": shape.params_with_reuse,
        "params_with_head": shape.params_with_head,
        "params_total": shape.params_total,
        **{f"flops_per_token_{name}": float(value) for name, value in per_token.items()},
        **{f"flops_{name}": float(value) * tokens for name, value in per_token.items()},
    }


def _losses(spec: RunSpec, summary: dict[str, Any]) -> dict[str, Any]:
    """Losses on every set of the spec; null for a run that diverged."""
    row: dict[str, Any] = {name: summary.get(name) for name in ("train_loss_nats", "noise_scale_tokens")}
    evaluations = summary["evaluations"]
    for name in spec.evaluation.sets:
        result = evaluations.get(name, {})
        row[loss_column(name)] = result.get("loss_nats")
        row[f"bits_per_byte_{name}"] = result.get("bits_per_byte")
    row["test_loss_by_position_nats"] = evaluations.get("test", {}).get("loss_by_position_nats")
    return row


def loss_column(evaluation_set: str) -> str:
    """Column of runs.parquet with the loss on an evaluation set."""
    return f"{evaluation_set}_loss_nats" if evaluation_set in ("validation", "test") else f"loss_{evaluation_set}_nats"


def _speed(summary: dict[str, Any]) -> dict[str, Any]:
    measured = ("wall_s", "tokens_per_s", "flops_share_of_peak", "peak_memory_bytes")
    return {name: summary.get(name) for name in (*measured, "device", "devices", "threads")}


def unit_of(column: str) -> str:
    """The unit of a column, or an empty string for names and counts."""
    return UNITS.get(max((key for key in UNITS if column.startswith(key)), key=len, default=""), "")


def _write(table: pa.Table, path: Path) -> None:
    fields = [pa.field(field.name, _type_of(field), metadata={"unit": unit_of(field.name)}) for field in table.schema]
    with atomic_path(path) as partial:
        pq.write_table(table.cast(pa.schema(fields)), partial)


def _type_of(field: pa.Field) -> pa.DataType:
    """A column that is null in every row has the type that its values would have."""
    if not pa.types.is_null(field.type):
        return field.type
    if field.name == "test_loss_by_position_nats":
        return pa.list_(pa.float64())
    return pa.int64() if field.name in ENDS else pa.float64()


def read_rows(path: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows of a table as dictionaries.

    Raises:
        TableError: the file or a column is missing.
    """
    if not path.exists():
        raise TableError(f"{path}: no such table")
    missing = set(columns or ()) - set(pq.read_schema(path).names)
    if missing:
        raise TableError(f"{path}: lacks the columns {', '.join(sorted(missing))}")
    rows: list[dict[str, Any]] = pq.read_table(path, columns=columns).to_pylist()
    return rows

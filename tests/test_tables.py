import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scaling_lab.errors import TableError
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.table import read_runs
from scaling_lab.spec import canonical_json
from scaling_lab.tables import collect, loss_column, read_rows, unit_of
from scaling_lab.training.run import train
from tests.conftest import run_spec


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("flops_matmul", "FLOP, forward and backward"),
        ("flops_per_token_6n", "FLOP per token, forward and backward"),
        ("tokens", "tokens"),
        ("tokens_id", ""),
        ("tokens_per_s", "tokens per second"),
        ("loss_wiki_nats", "nats per token"),
        ("test_loss_by_position_nats", "nats per token"),
        ("bits_per_byte_test", "bits per byte of text"),
        ("run", ""),
    ],
)
def test_units(column: str, unit: str) -> None:
    assert unit_of(column) == unit


def test_loss_columns_of_splits_and_of_other_texts() -> None:
    assert [loss_column(name) for name in ("test", "wiki")] == ["test_loss_nats", "loss_wiki_nats"]


def test_collect_writes_what_the_runs_measured(dataset: Path, tmp_path: Path) -> None:
    specs = [run_spec(tokens=128 * steps) for steps in (20, 30)]
    for spec in specs:
        folder = tmp_path / "runs" / spec.run_id
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(canonical_json(spec))
        train(spec, dataset, folder, threads=1)
    collect([s.run_id for s in specs], tmp_path / "runs", tmp_path / "runs.parquet", tmp_path / "curves.parquet")
    rows = read_rows(tmp_path / "runs.parquet")
    for spec, row in zip(specs, rows, strict=True):
        summary = json.loads((tmp_path / "runs" / spec.run_id / "summary.json").read_text())
        assert row["test_loss_nats"] == summary["evaluations"]["test"]["loss_nats"]
        assert row["flops_6n"] == 6 * row["params_non_embedding"] * spec.tokens
        assert row["params_total"] == spec.architecture.shape.params_total
        assert len(row["test_loss_by_position_nats"]) == 32
    curves = read_rows(tmp_path / "curves.parquet", ["run", "step"])
    assert {row["run"]: row["step"] for row in curves} == {spec.run_id: spec.steps for spec in specs}
    assert pq.read_schema(tmp_path / "runs.parquet").field("wall_s").metadata == {b"unit": b"seconds"}


def test_a_run_that_diverged_has_its_row_without_losses_and_no_fit_takes_it(dataset: Path, tmp_path: Path) -> None:
    bad = run_spec(optimizer__learning_rate=1e30, optimizer__clip_norm=1e30)
    for spec in (bad, run_spec(tokens=128 * 20)):
        folder = tmp_path / spec.run_id
        folder.mkdir()
        (folder / "spec.json").write_text(canonical_json(spec))
        train(spec, dataset, folder, threads=1)
    ok = run_spec(tokens=128 * 20).run_id
    collect([bad.run_id, ok], tmp_path, tmp_path / "runs.parquet", tmp_path / "curves.parquet")
    row, other = read_rows(tmp_path / "runs.parquet")
    assert row["status"] == "diverged"
    assert row["test_loss_nats"] is row["bits_per_byte_validation"] is row["test_loss_by_position_nats"] is None
    assert row["diverged_at_tokens"] == row["tokens"] < row["horizon_tokens"]
    assert row["flops_6n"] == 6 * row["params_non_embedding"] * row["tokens"]
    assert other["diverged_at_tokens"] is None
    selection = status_ok(Selection(read_runs(tmp_path / "runs.parquet")))
    assert selection.table.runs == [ok]
    assert selection.filters[0].dropped == ((bad.run_id, "status is diverged"),)
    collect([bad.run_id], tmp_path, tmp_path / "one.parquet", tmp_path / "curves.parquet")
    types = pq.read_schema(tmp_path / "one.parquet")
    assert types.field("test_loss_nats").type == pa.float64()
    assert types.field("stopped_at_tokens").type == pa.int64()


def test_an_unfinished_or_foreign_run_is_named(dataset: Path, tmp_path: Path) -> None:
    spec = run_spec(tokens=128 * 10)
    folder = tmp_path / spec.run_id
    folder.mkdir()
    (folder / "spec.json").write_text(canonical_json(spec))
    with pytest.raises(TableError, match=r"summary\.json: missing; the run is not finished"):
        collect([spec.run_id], tmp_path, tmp_path / "r.parquet", tmp_path / "c.parquet")
    train(spec, dataset, folder, threads=1)
    (folder / "spec.json").write_text(canonical_json(run_spec(tokens=128 * 11)))
    with pytest.raises(TableError, match=f"is of run {spec.run_id}, not"):
        collect([spec.run_id], tmp_path, tmp_path / "r.parquet", tmp_path / "c.parquet")


def test_missing_tables_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"none\.parquet: no such table"):
        read_rows(tmp_path / "none.parquet")

"""Tables that cannot be used, and the filters that choose runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scaling_lab.config import parse_config
from scaling_lab.errors import ConfigError, TableError
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.selection import (
    Selection,
    isoflop_groups,
    largest_params,
    largest_tokens,
    status_ok,
)
from scaling_lab.fits.stage import run_fit
from scaling_lab.fits.table import read_runs
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.refusal import FitRefusedError

Rows = list[dict[str, Any]]
Write = Callable[[Rows], Path]


def fit(path: Path, name: str = "hoffmann") -> None:
    run_fit(name, path, path.with_name("curves.parquet"), path.parent / "fits", FitOptions(bootstrap=20))


def test_a_missing_column_is_named(rows: Rows, write_runs: Write) -> None:
    path = write_runs([{k: v for k, v in row.items() if k != "test_loss_nats"} for row in rows])
    with pytest.raises(TableError, match=r"runs.parquet: no column 'test_loss_nats'; the table has .*params_total"):
        fit(path)


@pytest.mark.parametrize("bad", [float("nan"), None, 0.0, -1.0, float("inf")])
def test_an_unusable_loss_is_named_by_row_and_run(rows: Rows, write_runs: Write, bad: float | None) -> None:
    rows[4]["test_loss_nats"] = bad
    found = "missing" if bad is None else bad
    with pytest.raises(TableError, match=rf"row 5 \(run {rows[4]['run']}\): test_loss_nats is {found}; allowed"):
        fit(write_runs(rows))


def test_row_numbers_are_those_of_the_file(rows: Rows, write_runs: Write) -> None:
    """A run that failed may lack its loss; the rows after it keep their numbers."""
    rows[0] |= {"status": "diverged", "test_loss_nats": None}
    rows[6]["test_loss_nats"] = None
    with pytest.raises(TableError, match=r"row 7 \(run"):
        fit(write_runs(rows))


def test_a_duplicate_run_is_named(rows: Rows, write_runs: Write) -> None:
    with pytest.raises(TableError, match=rf"row {len(rows) + 1}: run {rows[3]['run']} is already in row 4"):
        fit(write_runs([*rows, rows[3]]))


def test_text_for_numbers_and_files_that_are_no_tables(rows: Rows, write_runs: Write, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="'tokens' holds text"):
        fit(write_runs([row | {"tokens": "many"} for row in rows]))
    (tmp_path / "runs.parquet").write_text("run,loss\n")
    with pytest.raises(TableError, match="not a readable Parquet table"):
        fit(tmp_path / "runs.parquet")
    with pytest.raises(TableError, match=r"none.parquet"):
        fit(tmp_path / "none.parquet")
    with pytest.raises(TableError, match="no column 'run'"):
        fit(write_runs([{"loss": 3.0}]))


def test_a_table_without_finished_runs(rows: Rows, write_runs: Write) -> None:
    path = write_runs([row | {"status": "diverged"} for row in rows])
    for name in ("params", "tokens", "compute", "kaplan", "hoffmann", "isoflop"):
        with pytest.raises(TableError, match="no run has status ok"):
            fit(path, name)


def test_options_are_checked(tmp_path: Path) -> None:
    for wrong in ({"objective": "l1"}, {"delta": 0.0}, {"level": 1.0}, {"bootstrap": 3}, {"flops_convention": "5n"}):
        with pytest.raises(ConfigError, match=f"fit: {next(iter(wrong))}: "):
            parse_config(FitOptions, wrong, "fit")
    with pytest.raises(ConfigError, match="fit 'chinchilla'; allowed: params"):
        fit(tmp_path / "runs.parquet", "chinchilla")


def test_largest_tokens_takes_the_row_that_all_sizes_share(rows: Rows, write_runs: Write) -> None:
    rows[0]["status"] = "diverged"
    selection = largest_tokens(status_ok(Selection(read_runs(write_runs(rows)))), "params_non_embedding")
    assert len(np.unique(selection.table.numbers("params_non_embedding"))) == 8
    assert selection.table.numbers("tokens").min() > 7.6e6
    first, second = selection.filters
    assert first.dropped == ((rows[0]["run"], "status is diverged"),)
    assert second.kept + len(second.dropped) == first.kept
    assert all("not the 7.70048e+06 that 8 sizes share" in reason for _, reason in second.dropped)


def test_largest_tokens_prefers_a_row_with_more_sizes(rows: Rows, write_runs: Write) -> None:
    extra = rows[-1] | {"run": "alone", "tokens": 10**9}
    selection = largest_tokens(Selection(read_runs(write_runs([*rows, extra]))), "params_non_embedding")
    assert "alone" not in selection.table.runs


def test_largest_params_takes_one_shape_with_a_series(rows: Rows, write_runs: Write) -> None:
    wider = rows[0] | {"run": "big", "d_model": 512, "params_non_embedding": 10**8}
    selection = largest_params(Selection(read_runs(write_runs([*rows, wider]))), "params_non_embedding")
    assert set(selection.table.numbers("d_model")) == {72.0}
    assert len(np.unique(selection.table.numbers("tokens"))) >= 6
    assert "big" in dict(selection.filters[-1].dropped)


def test_isoflop_groups_need_four_sizes(rows: Rows, write_runs: Write) -> None:
    selection = isoflop_groups(Selection(read_runs(write_runs(rows))), "flops_matmul", "params_non_embedding")
    budgets = selection.table.numbers("flops_matmul")
    assert np.exp(np.log(budgets).round(1)).size == len(selection.table)
    assert len(np.unique(groups_of(budgets))) == 4
    assert all("at least 4" in reason for _, reason in selection.filters[-1].dropped)


def test_a_law_is_fitted_to_one_architecture(rows: Rows, write_runs: Write) -> None:
    others = [row | {"run": f"lstm-{row['run']}", "architecture": "lstm", "n_head": None} for row in rows[:3]]
    table = read_runs(write_runs([row | {"architecture": "transformer"} for row in rows] + others))
    selection = status_ok(Selection(table))
    assert len(selection.table) == len(rows)
    assert selection.filters[-1].name == "one_architecture"
    assert selection.filters[-1].dropped[0] == (others[0]["run"], "architecture is lstm, not transformer")
    assert len(selection.table.shapes()) == len(rows)


def test_a_table_without_transformers_has_its_laws_but_no_shapes_to_plan_with(rows: Rows, write_runs: Write) -> None:
    table = read_runs(write_runs([row | {"architecture": "lstm", "n_head": None} for row in rows]))
    assert len(status_ok(Selection(table)).table) == len(rows)
    with pytest.raises(FitRefusedError, match="only runs of lstm; a plan continues the shapes of Transformers"):
        table.shapes()


def test_models_are_told_apart_by_every_column_that_the_table_has(rows: Rows, write_runs: Write) -> None:
    one = rows[0]
    variants: Rows = [{"tied": True}, {"tied": False}, {"tied": True, "reuse": 2}, {"tied": True, "head_dim": 12}]
    full = {"reuse": 1, "head_dim": None, "architecture": "transformer", "positions": "rotary"}
    table = read_runs(write_runs([one | full | v | {"run": f"run-{i}"} for i, v in enumerate(variants)]))
    assert len(set(table.models())) == len(variants)
    assert [shape.tied for shape in table.shapes()] == [True, False, True, True]
    assert [shape.d_attn for shape in table.shapes()][-1] == 12 * one["n_head"]

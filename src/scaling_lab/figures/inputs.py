"""What figures and report read about a study: its tables, fits, plan and backtest, as plain values and columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scaling_lab.errors import TableError
from scaling_lab.fits.table import SHAPE_COLUMNS, VARIANT_COLUMNS
from scaling_lab.science.departure import law_of_draws
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.tables import read_rows

Columns = dict[str, NDArray[Any]]

SHOWN_FROM = 0.02  # of a run: what comes before is left out of figures of many curves


def model_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells the model of a run from others, as text."""
    return tuple(str(row.get(name)) for name in (*SHAPE_COLUMNS, *VARIANT_COLUMNS))


@dataclass(frozen=True)
class Fit:
    """One fit: its JSON record, the bootstrap draws and the points that it used."""

    record: Mapping[str, Any]
    draws: Columns
    points: Columns

    @property
    def ok(self) -> bool:
        """Whether the law was fitted rather than refused."""
        return bool(self.record["status"] == "ok")

    @property
    def reason(self) -> dict[str, str]:
        """Code and message of the refusal."""
        return dict(self.record["reason"])

    def value(self, name: str) -> float:
        """A parameter or derived quantity."""
        entry = {**self.record["derived"], **self.record["parameters"]}[name]
        return float(entry["value"])

    def points_where(self, column: str, value: Any, *columns: str) -> tuple[Array, ...]:
        """Columns of the points whose `column` has this value."""
        own = self.points[column] == value
        return tuple(self.points[name][own] for name in columns)

    def predict(self, variables: Mapping[str, Array], law: str | None = None) -> Array:
        """Loss in nats [n] of the fitted law."""
        chosen = LAWS[law or self.record["law"]]
        parameters = {name: self.value(name) for name in chosen.parameter_names}
        return chosen.predict(parameters, variables)

    def band(self, variables: Mapping[str, Array], level: float, law: str | None = None) -> tuple[Array, Array] | None:
        """Percentile band [n] of the law's draws; None with fewer than 20 of them."""
        chosen = LAWS[law or self.record["law"]]
        drawn = law_of_draws(chosen, self.draws)
        parameters = {name: self.draws[name][:, None] for name in drawn.parameter_names}
        if len(parameters[chosen.parameter_names[0]]) < 20:
            return None
        losses = drawn.predict(parameters, {name: values[None, :] for name, values in variables.items()})
        low, high = np.quantile(losses, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high


@dataclass(frozen=True)
class StudyData:
    """A finished study. Files are read when first asked for, so that a figure touches only what it draws."""

    name: str
    results: Path

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """The options that the study was fitted by, as its backtest recorded them."""
        options: Mapping[str, Any] = self.backtest["provenance"]["options"]
        return options

    @property
    def loss_column(self) -> str:
        """Column of the losses that the laws were fitted to."""
        return str(self.options["loss_column"])

    @property
    def params_column(self) -> str:
        """Column of N in the study's convention."""
        return str(self.options["params_convention"])

    @property
    def flops_convention(self) -> str:
        """What C counts."""
        return str(self.options["flops_convention"])

    @property
    def flops_column(self) -> str:
        """Column of C in the study's convention."""
        return f"flops_{self.flops_convention}"

    @property
    def level(self) -> float:
        """Level of the study's intervals."""
        return float(self.options["level"])

    @cached_property
    def runs(self) -> list[dict[str, Any]]:
        """Rows of runs.parquet of the runs that finished, of models with layers: those that fits use."""
        return [row for row in self._all_runs if row["status"] == "ok" and row["n_layer"] > 0]

    @property
    def diverged(self) -> list[dict[str, Any]]:
        """Rows of the runs that diverged: no loss was measured."""
        return [row for row in self._all_runs if row["status"] == "diverged"]

    @cached_property
    def _all_runs(self) -> list[dict[str, Any]]:
        return read_rows(self.results / "tables" / self.name / "runs.parquet")

    @property
    def simulated(self) -> bool:
        """Whether the losses were drawn from planted laws. Nothing real ever shares a study with such runs."""
        return any(row["simulated"] for row in self.runs)

    @cached_property
    def runs_by_id(self) -> dict[str, dict[str, Any]]:
        """Rows of runs.parquet by run."""
        return {row["run"]: row for row in self.runs}

    def curves(self) -> Iterator[tuple[dict[str, Any], Columns]]:
        """Each run's row with its learning curve, in the order of the table."""
        curves = _columns(self.results / "tables" / self.name / "curves.parquet")
        for row in self.runs:
            mask = curves["run"] == row["run"]
            yield row, {name: values[mask] for name, values in curves.items()}

    def falls(self) -> Iterator[tuple[str, Any, Any]]:
        """Each run with FLOPs and smoothed training loss along it, without its fall from a uniform guess, which would
        fill a panel.
        """
        for row, curve in self.curves():
            shown = curve["progress"] >= SHOWN_FROM
            flops = curve["tokens"][shown] * row[f"flops_per_token_{self.flops_convention}"]
            yield row["run"], flops, curve["train_loss_smoothed_nats"][shown]

    def fit(self, name: str) -> Fit | None:
        """A fit of the study; None when there is none, or one of other runs that an earlier configuration left."""
        path = self.results / "fits" / self.name / f"{name}.json"
        if not path.exists():
            return None
        record = _document(path)
        runs = self.backtest["provenance"]["tables"].items()
        if not runs <= record["provenance"]["tables"].items():
            return None
        return Fit(record, _columns(path.with_suffix(".draws.parquet")), _columns(path.with_suffix(".points.parquet")))

    @cached_property
    def plan(self) -> dict[str, Any]:
        """plan.json."""
        return _document(self.results / "plans" / self.name / "plan.json")

    @cached_property
    def backtest(self) -> dict[str, Any]:
        """backtest.json."""
        return _document(self.results / "plans" / self.name / "backtest.json")

    @cached_property
    def approaches(self) -> dict[str, Any]:
        """approaches.json."""
        return _document(self.results / "plans" / self.name / "approaches.json")

    @cached_property
    def sensitivity(self) -> dict[str, Any]:
        """sensitivity.json."""
        return _document(self.results / "plans" / self.name / "sensitivity.json")

    @cached_property
    def study(self) -> dict[str, Any]:
        """study.json: the question, the laws and the figures asked for. For the report alone: no figure hangs on it."""
        return _document(self.results / "tables" / self.name / "study.json")

    @cached_property
    def noise(self) -> dict[str, Any]:
        """noise.json."""
        return _document(self.results / "plans" / self.name / "noise.json")


def _document(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise TableError(f"{path}: no such file; it is written before figures and report")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _columns(path: Path) -> Columns:
    if not path.exists():
        raise TableError(f"{path}: no such table")
    table = pq.read_table(path)
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.schema.names}

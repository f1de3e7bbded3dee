"""`scaling-lab fit`: one law on a table that the user made, by the path that the workflow's fits take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.errors import ConfigError, TableError
from scaling_lab.fits.external import Columns, External, RowRules, read_external
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, write_json, write_parquet
from scaling_lab.fits.single import fit_into, new_record
from scaling_lab.fits.surface import add_hoffmann_checks
from scaling_lab.fits.terminal import print_fit
from scaling_lab.science.fixing import fix_parameters
from scaling_lab.science.laws import LAWS, Law

ROWS_PER_CLUSTER = 5  # so few clusters say little about the spread between runs


@dataclass(frozen=True)
class UserFit:
    """What to fit: a law by name, the columns, the rows, the options of the engine, and parameters that are known."""

    law: str
    columns: Columns
    rules: RowRules
    options: FitOptions
    fixed: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Every option by name."""
        chosen = self.options.as_json()
        engine = {name: chosen[name] for name in ("objective", "delta", "bootstrap", "level", "departure", "seed")}
        return {"law": self.law, "columns": asdict(self.columns), "rows": asdict(self.rules), **engine} | {
            "fixed": dict(self.fixed)
        }


def run_user_fit(runs: Path, request: UserFit, output: Path | None) -> None:
    """Fit, print, and write `output` with its draws and points beside it.

    Raises:
        ConfigError: no such law, or a parameter that it lacks.
        TableError: the table cannot be used, or the law is refused; the refusal is written too.
    """
    law = chosen_law(request.law, request.fixed)
    data = read_external(runs, law, request.columns, request.rules)
    record = fit_external(law, data, request)
    document = _document(record, data, request)
    if output is not None:
        write_fit(output, record, document)
    if record.refusal is not None:
        raise TableError(f"{runs}: {law.name} is refused ({record.refusal.code}): {record.refusal.message}")
    print_fit(document, output)


def chosen_law(name: str, fixed: Mapping[str, float]) -> Law:
    """A law by name, with known parameters put in. Raises ConfigError."""
    if name not in LAWS:
        raise ConfigError(f"--law {name!r}; allowed: {', '.join(LAWS)}")
    try:
        return fix_parameters(LAWS[name], fixed)
    except ValueError as error:
        raise ConfigError(f"--fix: {error}") from None


def fit_external(law: Law, data: External, request: UserFit) -> FitRecord:
    """The record of one law on the rows that were read."""
    record = new_record(law.name, law, data.selection, data.variables, data.described, data.loss, request.options)
    fitted = fit_into(record, law, data.variables, data.loss, request.options, data.clusters)
    if fitted is not None and data.clusters is not None:
        count = len(np.unique(data.clusters))
        record.diagnostics["clusters"] = count
        if count < ROWS_PER_CLUSTER:
            record.diagnostics["warnings"].append(f"{count} cluster(s): too few for an interval over runs")
    if fitted is not None and law is LAWS["hoffmann"]:
        add_hoffmann_checks(record, fitted[0])
    if request.fixed:
        record.blocks["fixed"] = dict(request.fixed)
    record.blocks["ranges"] = {
        name: {"low": float(values.min()), "high": float(values.max())} for name, values in data.variables.items()
    }
    return record


def write_fit(output: Path, record: FitRecord, document: Mapping[str, Any]) -> None:
    """Write fit.json, fit.draws.parquet and fit.points.parquet; the JSON last."""
    write_parquet(output.with_suffix(".draws.parquet"), record.draws)
    write_parquet(output.with_suffix(".points.parquet"), record.points)
    write_json(output, document)


def _document(record: FitRecord, data: External, request: UserFit) -> dict[str, Any]:
    table = data.selection.table
    document = record.as_json(request.as_json(), {})
    provenance = document["provenance"]
    del provenance["tables"]
    document["provenance"] = {"input": {"file": table.path.name, "sha256": table.sha256}, **provenance}
    return document

"""The record of a fit: JSON, bootstrap draws and the points used, each written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scaling_lab.files import atomic_path, write_text
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.selection import Selection
from scaling_lab.science.bootstrap import Draws, supports_offset
from scaling_lab.science.fitting import FitResult, Objective
from scaling_lab.science.laws import Array, Law
from scaling_lab.science.refusal import FitRefusedError

MAX_FAILED = 0.05  # share of failed resamples above which the intervals carry a warning


@dataclass
class FitRecord:
    """What is written about one fit. `points` and `draws` become Parquet columns."""

    fit: str
    law: str
    equation: str
    variables: dict[str, dict[str, str]]
    objective: Objective
    selection: Selection
    parameters: dict[str, Any] = field(default_factory=dict)
    derived: dict[str, Any] = field(default_factory=dict)
    objective_value: float | None = None
    diagnostics: dict[str, Any] = field(default_factory=dict)
    blocks: dict[str, Any] = field(default_factory=dict)
    draws: dict[str, Array] = field(default_factory=dict)
    points: dict[str, Any] = field(default_factory=dict)
    refusal: FitRefusedError | None = None

    def as_json(self, options: Mapping[str, Any], tables: Mapping[str, str]) -> dict[str, Any]:
        """The record as the document that figures, plan, report and users read.

        tables: SHA-256 of each input by file name. `rows` lists what every filter dropped, by row of the file.
        """
        return {
            "fit": self.fit,
            "law": self.law,
            "equation": self.equation,
            "status": "ok" if self.refusal is None else "refused",
            "reason": reason_of(self.refusal),
            "variables": self.variables,
            "objective": {
                "name": self.objective.name,
                "delta": self.objective.delta if self.objective.name == "huber" else None,
                "value": self.objective_value,
            },
            "parameters": self.parameters,
            "derived": self.derived,
            "diagnostics": self.diagnostics,
            "filters": [applied.as_json() for applied in self.selection.filters],
            "provenance": provenance_of(tables, options, simulated=self.selection.table.simulated)
            | {"rows": {"used": len(self.selection.table), "dropped": self.selection.dropped_rows()}},
            **self.blocks,
        }


def provenance_of(tables: Mapping[str, str], options: Mapping[str, Any], *, simulated: bool) -> dict[str, Any]:
    """What a document was made from. tables: SHA-256 of each input by name; simulated: some losses were drawn."""
    return {
        "tables": dict(tables),
        "simulated": simulated,
        "options": dict(options),
        "version": version("scaling-lab"),
    }


def reason_of(refusal: FitRefusedError | None) -> dict[str, str] | None:
    """A refusal as JSON."""
    return None if refusal is None else {"code": refusal.code.value, "message": refusal.message}


def estimate(value: float, error: float | None, draws: Draws | None, name: str, level: float) -> dict[str, Any]:
    """A value with its standard error and the percentile interval of its draws."""
    interval = draws.interval(name, level) if draws is not None else None
    bounds = None if interval is None else {"level": level, "low": interval.low, "high": interval.high}
    return {"value": value, "se": error, "interval": bounds}


def estimate_with_departure(
    value: float, error: float | None, draws: Draws | None, departing: Draws, name: str, level: float
) -> dict[str, Any]:
    """An estimate with two intervals: where the law is exact, and where losses depart from it."""
    departed = estimate(value, error, departing, name, level)["interval"]
    return estimate(value, error, draws, name, level) | {"interval_departed": departed}


def law_estimates(
    result: FitResult, draws: Draws | None, level: float, departing: Draws | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Estimates of the parameters and of the derived quantities of a fitted law.

    draws: where the law is exact, for `interval`; departing: where losses depart from it, for `interval_departed`.
    """

    def of(name: str, value: float, error: float) -> dict[str, Any]:
        if departing is None:
            return estimate(value, error, draws, name, level)
        return estimate_with_departure(value, error, draws, departing, name, level)

    return (
        {name: of(name, value, result.standard_errors[name]) for name, value in result.parameters.items()},
        {name: of(name, value, result.derived_errors[name]) for name, value in result.derived.items()},
    )


def departure_block(draws: Draws, options: FitOptions) -> dict[str, Any] | None:
    """By how much losses depart from the law, as stated and as the runs correct it: shares of the loss."""
    size, tail = draws.departure, (1 - options.level) / 2
    if size is None:
        return None
    bounds = {"level": options.level, "low": size.quantile(tail), "high": size.quantile(1 - tail)}
    return {"stated": options.departure, "median": size.quantile(0.5), "interval": bounds}


def law_diagnostics(result: FitResult, draws: Draws, level: float) -> dict[str, Any]:
    """Evidence for and against a fitted law, with warnings in words."""
    warnings = list(result.warnings)
    failed = sum(draws.failed.values())
    if failed > MAX_FAILED * draws.resamples:
        warnings.append(
            f"{failed} of {draws.resamples} bootstrap refits failed ({draws.failed}); intervals are too narrow"
        )
    offset_identified = supports_offset(result, draws, level)
    if not offset_identified:
        warnings.append(
            f"the {level:.0%} interval of the irreducible loss {result.law.offset} contains 0: these runs do not "
            "identify it, and extrapolation far beyond them is not supported"
        )
    outside = [
        name
        for name, value in (result.parameters | result.derived).items()
        if (interval := draws.interval(name, level)) and not interval.low <= value <= interval.high
    ]
    if outside:
        warnings.append(f"estimate outside its own bootstrap interval: {', '.join(outside)}")
    return {
        "n_points": len(result.loss),
        "r_squared_log": result.r_squared_log,
        "residual_sd_log": residual_sd(result),
        "starts": result.starts,
        "share_at_best": result.share_at_best,
        "condition_number": result.condition_number,
        "relative_projected_gradient": result.stationarity,
        "bounds_hit": list(result.bounds_hit),
        "offset_identified": offset_identified if result.law.offset else None,
        "bootstrap": {"resamples": draws.resamples, "failed": failed, "failed_by_reason": draws.failed},
        "warnings": warnings,
    }


def residual_sd(result: FitResult) -> float:
    """Standard deviation of log residuals, with the parameters' degrees of freedom taken off."""
    freedom = max(len(result.residuals) - len(result.theta), 1)
    return float(np.sqrt(np.sum(result.residuals**2) / freedom))


def points_of(
    selection: Selection, variables: Mapping[str, Array], loss: Array, predicted: Array | None
) -> dict[str, Any]:
    """Columns of the points table; the residual is log measured - log predicted."""
    model = np.full(len(loss), np.nan) if predicted is None else predicted
    return {
        "run": selection.table.runs,
        **variables,
        "loss": loss,
        "predicted": model,
        "residual": np.log(loss / model),
    }


def write_record(record: FitRecord, output_dir: Path, options: Mapping[str, Any], tables: Mapping[str, str]) -> None:
    """Write {fit}.json, {fit}.draws.parquet and {fit}.points.parquet; the JSON last."""
    write_parquet(output_dir / f"{record.fit}.draws.parquet", record.draws)
    write_parquet(output_dir / f"{record.fit}.points.parquet", record.points)
    write_json(output_dir / f"{record.fit}.json", record.as_json(options, tables))


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document atomically. Numbers that JSON cannot hold become null."""
    write_text(path, json.dumps(_plain(document), indent=2, allow_nan=False) + "\n")


def write_parquet(path: Path, columns: Mapping[str, Any]) -> None:
    """Write columns atomically; NaN becomes null."""
    arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    with atomic_path(path) as partial:
        pq.write_table(pa.table(arrays), partial)


def empty_draws(law: Law) -> dict[str, Array]:
    """Columns of the draws of a refused fit: named, without rows."""
    return {name: np.empty(0) for name in (*law.parameter_names, *law.derived)}


def _plain(value: Any) -> Any:
    """numpy scalars and arrays to Python; not-a-number and infinities to null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""`scaling-lab compare` and `backtest`: which law predicts the largest runs of a user's table, and how well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.errors import ConfigError, TableError
from scaling_lab.fits.backtest import prediction_rows, prediction_summary
from scaling_lab.fits.external import External, read_external
from scaling_lab.fits.output import reason_of, write_json
from scaling_lab.fits.single import quick_starts
from scaling_lab.fits.terminal import print_backtest, print_comparison
from scaling_lab.fits.user_fit import UserFit, chosen_law
from scaling_lab.science.backtest import Mask, Prediction, backtest_law, most_expensive
from scaling_lab.science.comparison import Form, FormScore, compare_forms
from scaling_lab.science.laws import LAWS, Array, Law
from scaling_lab.science.refusal import FitRefusedError

SURFACES = ("hoffmann", "kaplan", "kaplan_symmetric", "gadre")
CURVES = ("power", "power_offset", "logarithm", "bnsl")


def default_laws(request: UserFit) -> tuple[str, ...]:
    """The laws that compete where none is named: those of one variable if there is an X, else those of N and D."""
    return CURVES if "X" in request.columns.variables else SURFACES


def run_user_backtest(runs: Path, request: UserFit, laws: Sequence[str], factor: float, output: Path | None) -> None:
    """Fit each law without the most expensive runs, predict them, print and write.

    Raises:
        ConfigError: no such law, or a factor that holds nothing back.
        TableError: the table cannot be used, or every law is refused.
    """
    read = _read(runs, request, laws, factor)
    tested = {name: _test(data, request, factor) for name, data in read.items()}
    document = _document(read, request, factor)
    document["rows"] = [row for _, rows in tested.values() for row in rows]
    document["laws"] = {name: summary for name, (summary, _) in tested.items()}
    if output is not None:
        write_json(output, document)
    _require_one(runs, document["laws"])
    print_backtest(document)


def run_user_comparison(runs: Path, request: UserFit, laws: Sequence[str], factor: float, output: Path | None) -> None:
    """Fit each law to all runs and, without the most expensive ones, predict those; print and write.

    Raises:
        ConfigError: no such law, or a factor that holds nothing back.
        TableError: the table cannot be used, or every law is refused.
    """
    read = _read(runs, request, laws, factor)
    first = next(iter(read.values()))
    forms = {name: Form(data.law, data.variables) for name, data in read.items()}
    for name, data in read.items():
        if not np.array_equal(data.selection.table.rows, first.selection.table.rows):
            raise ConfigError(f"{name} and {next(iter(read))} use different rows; a comparison needs the same ones")
    options = request.options
    scores = compare_forms(forms, first.loss, cost_of(first)[0], options.fitting_objective, options.departing, factor)
    document = _document(read, request, factor)
    found = {score.name: _score_json(score, forms[score.name].law) for score in scores}
    document["laws"] = {name: found[name] for name in read}
    _add_differences(document["laws"])
    if output is not None:
        write_json(output, document)
    _require_one(runs, document["laws"])
    print_comparison(document)


def cost_of(data: External) -> tuple[Array, str]:
    """What makes a run large: its FLOPs, or else the product of the law's variables."""
    if data.flops is not None:
        return data.flops, "FLOPs"
    return np.asarray(np.prod(list(data.variables.values()), axis=0)), " x ".join(data.variables)


def _read(runs: Path, request: UserFit, laws: Sequence[str], factor: float) -> dict[str, External]:
    """The rows and variables of each law."""
    if not factor > 1:
        raise ConfigError(f"--factor {factor:g}; allowed: above 1 (2 holds out runs above half the largest cost)")
    return {name: read_external(runs, chosen_law(name, request.fixed), request.columns, request.rules) for name in laws}


def _test(data: External, request: UserFit, factor: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How the law predicted the held-out runs: in short, and run by run."""
    cost, _ = cost_of(data)
    try:
        prediction = _predict(data, most_expensive(cost, factor), request)
    except FitRefusedError as refusal:
        return {"status": "refused", "reason": reason_of(refusal)}, []
    columns = {"cost": cost, **data.variables}
    rows = prediction_rows(data.law.name, data.selection.table.runs, columns, prediction, prediction.held_out)
    return {"status": "ok", "reason": None, **prediction_summary(prediction)}, rows


def _predict(data: External, held_out: Mask, request: UserFit) -> Prediction:
    kept = {name: values[~held_out] for name, values in data.variables.items()}
    starts = quick_starts(data.law, kept, data.loss[~held_out])
    options = request.options
    return backtest_law(
        data.law, data.variables, data.loss, held_out, options.fitting_objective, options.departing, starts
    )


def _score_json(score: FormScore, law: Law) -> dict[str, Any]:
    """One law of a comparison; numbers that a refused law lacks are null."""
    entry: dict[str, Any] = {"equation": law.equation, "parameters_fitted": score.parameters}
    entry |= {"status": "ok" if score.fit else "refused", "reason": reason_of(score.refusal)}
    entry |= {"objective": score.fit.objective_value if score.fit else None}
    entry |= {"parameters": score.fit.parameters if score.fit else {}}
    for name in ("aic", "aicc"):
        value = float(getattr(score, name))
        entry[name] = value if np.isfinite(value) else None
    entry["akaike_weight"] = score.akaike_weight
    refusal = score.hold_out_refusal or score.refusal
    entry["hold_out"] = {"status": "refused", "reason": reason_of(refusal)}
    if score.hold_out is not None:
        entry["hold_out"] = {"status": "ok", "reason": None, **prediction_summary(score.hold_out)}
    entry["windows"] = {"n": len(score.windows), "mean_absolute_log_error": score.window_error}
    return entry


def _add_differences(laws: dict[str, dict[str, Any]]) -> None:
    """AICc above the best law's, where both are known and of the same runs."""
    known = [entry["aicc"] for entry in laws.values() if entry["aicc"] is not None]
    for entry in laws.values():
        entry["aicc_difference"] = entry["aicc"] - min(known) if entry["aicc"] is not None else None


def _require_one(runs: Path, laws: Mapping[str, Mapping[str, Any]]) -> None:
    if all(entry["status"] == "refused" for entry in laws.values()):
        reasons = "; ".join(
            f"{name} is refused ({entry['reason']['code']}): {entry['reason']['message']}"
            for name, entry in laws.items()
        )
        raise TableError(f"{runs}: {reasons}")


def _document(read: Mapping[str, External], request: UserFit, factor: float) -> dict[str, Any]:
    first = next(iter(read.values()))
    selection = first.selection
    table, (cost, unit) = selection.table, cost_of(first)
    held = [run for run, out in zip(table.runs, most_expensive(cost, factor), strict=True) if out]
    options = request.as_json()
    del options["law"]
    return {
        "rule": f"runs that cost more than the most expensive one divided by {factor:g}, by {unit}",
        "held_out": held,
        "level": request.options.level,
        "provenance": {
            "input": {"file": table.path.name, "sha256": table.sha256},
            "rows": {"used": len(table), "dropped": selection.dropped_rows()},
            "options": {**options, "laws": list(read), "factor": factor},
            "version": version("scaling-lab"),
        },
    }


def for_laws(request: UserFit, laws: Sequence[str]) -> tuple[str, ...]:
    """The laws asked for, or the default ones. Raises ConfigError for a name that is no law."""
    for name in laws:
        if name not in LAWS:
            raise ConfigError(f"--law {name!r}; allowed: {', '.join(LAWS)}")
    return tuple(dict.fromkeys(laws)) or default_laws(request)

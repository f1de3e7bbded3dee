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
from scaling_lab.science.fitting import Objective, fit_law, gaussian_criteria
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
    tested = _tested(runs, request, laws, factor)
    document = _document(tested, request, factor)
    document["rows"] = [row for test in tested.values() for row in test["rows"]]
    document["laws"] = {name: test["hold_out"] for name, test in tested.items()}
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
    tested = _tested(runs, request, laws, factor)
    document = _document(tested, request, factor)
    document["laws"] = {name: _fit_all(test, request) | {"hold_out": test["hold_out"]} for name, test in tested.items()}
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


def _tested(runs: Path, request: UserFit, laws: Sequence[str], factor: float) -> dict[str, dict[str, Any]]:
    """Per law: its data, the held-out runs and their prediction."""
    if not factor > 1:
        raise ConfigError(f"--factor {factor:g}; allowed: above 1 (2 holds out runs above half the largest cost)")
    tested = {}
    for name in laws:
        law = chosen_law(name, request.fixed)
        data = read_external(runs, law, request.columns, request.rules)
        cost, unit = cost_of(data)
        held_out = most_expensive(cost, factor)
        test: dict[str, Any] = {"law": law, "data": data, "held_out": held_out, "unit": unit, "rows": []}
        try:
            prediction = _predict(law, data, held_out, request)
        except FitRefusedError as refusal:
            test["hold_out"] = {"status": "refused", "reason": reason_of(refusal)}
        else:
            test["hold_out"] = {"status": "ok", "reason": None, **prediction_summary(prediction)}
            columns = {"cost": cost, **data.variables}
            test["rows"] = prediction_rows(name, data.selection.table.runs, columns, prediction, prediction.held_out)
        tested[name] = test
    return tested


def _predict(law: Law, data: External, held_out: Mask, request: UserFit) -> Prediction:
    kept = {name: values[~held_out] for name, values in data.variables.items()}
    starts = quick_starts(law, kept, data.loss[~held_out])
    options = request.options
    return backtest_law(law, data.variables, data.loss, held_out, options.fitting_objective, options.resampling, starts)


def _fit_all(test: Mapping[str, Any], request: UserFit) -> dict[str, Any]:
    """The law on all runs: its objective, and information criteria of least squares on log residuals."""
    law, data = test["law"], test["data"]
    entry: dict[str, Any] = {"equation": law.equation, "parameters_fitted": len(law.parameters)}
    entry |= {"status": "ok", "reason": None, "objective": None, "aic": None, "aicc": None, "parameters": {}}
    try:
        starts = quick_starts(law, data.variables, data.loss)
        squares = fit_law(law, data.variables, data.loss, Objective("squares"), starts)
        entry |= gaussian_criteria(squares.residuals, len(law.parameters))
        chosen = fit_law(law, data.variables, data.loss, request.options.fitting_objective, starts)
        entry |= {"objective": chosen.objective_value, "parameters": chosen.parameters}
    except FitRefusedError as refusal:
        entry |= {"status": "refused", "reason": reason_of(refusal)}
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


def _document(tested: Mapping[str, Mapping[str, Any]], request: UserFit, factor: float) -> dict[str, Any]:
    first = next(iter(tested.values()))
    selection = first["data"].selection
    table = selection.table
    held = [run for run, out in zip(table.runs, first["held_out"], strict=True) if out]
    options = request.as_json()
    del options["law"]
    return {
        "rule": f"runs that cost more than the most expensive one divided by {factor:g}, by {first['unit']}",
        "held_out": held,
        "level": request.options.level,
        "provenance": {
            "input": {"file": table.path.name, "sha256": table.sha256},
            "rows": {"used": len(table), "dropped": selection.dropped_rows()},
            "options": {**options, "laws": list(tested), "factor": factor},
            "version": version("scaling-lab"),
        },
    }


def for_laws(request: UserFit, laws: Sequence[str]) -> tuple[str, ...]:
    """The laws asked for, or the default ones. Raises ConfigError for a name that is no law."""
    for name in laws:
        if name not in LAWS:
            raise ConfigError(f"--law {name!r}; allowed: {', '.join(LAWS)}")
    return tuple(dict.fromkeys(laws)) or default_laws(request)

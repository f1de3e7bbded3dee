"""Fits, comparisons and backtests of a user's table, on the terminal. JSON holds every digit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 120
INTERVALS = ("interval", "interval_departed")  # of an exact law, and of losses that depart from it
MOST_DROPPED, MOST_ROWS = 5, 20


def number(value: float | None, digits: int = 4) -> str:
    """A number at a readable precision; a dash for none."""
    return "-" if value is None else f"{value:.{digits}g}"


def interval(bounds: Mapping[str, Any] | None) -> str:
    """An interval at the precision of `number`."""
    return "-" if bounds is None else f"{number(bounds['low'])} to {number(bounds['high'])}"


def lines(console: Console, texts: Sequence[str], mark: str = "") -> None:
    """Text as it is: no markup, no colour of numbers."""
    for text in texts:
        console.print(f"{mark}{text}", markup=False, highlight=False)


def print_fit(document: Mapping[str, Any], output: Path | None) -> None:
    """One fitted law: what was fitted, the estimates with errors and intervals, the evidence, the warnings."""
    console = Console(width=WIDTH)
    lines(console, [f"{document['law']}: {document['equation']}", *_fitted(document)])
    level = document["provenance"]["options"]["level"]
    table = Table("", "value", "standard error", f"{level:.0%} interval", "where losses depart from the law")
    for block in ("parameters", "derived"):
        for name, entry in document[block].items():
            table.add_row(
                name, number(entry["value"], 6), number(entry["se"], 3), *(interval(entry[kind]) for kind in INTERVALS)
            )
        table.add_section()
    console.print(table)
    lines(console, [*_evidence(document["diagnostics"]), *_sensitivity(document)])
    lines(console, document["diagnostics"]["warnings"], "warning: ")
    if output is not None:
        beside = f"{output.stem}.draws.parquet and {output.stem}.points.parquet beside it"
        lines(console, [f"written: {output}, {beside}"])


def _fitted(document: Mapping[str, Any]) -> list[str]:
    provenance, objective = document["provenance"], document["objective"]
    dropped = provenance["rows"]["dropped"]
    columns = ", ".join(f"{name} = {entry['column']}" for name, entry in document["variables"].items())
    delta = f" with delta {objective['delta']:g}" if objective["delta"] else ""
    used = [f"{provenance['rows']['used']} rows of {provenance['input']['file']} ({columns})"]
    used += [f"dropped row {line['row']}: {line['reason']}" for line in dropped[:MOST_DROPPED]]
    if len(dropped) > MOST_DROPPED:
        used.append(f"and {len(dropped) - MOST_DROPPED} more dropped rows, all listed in the JSON")
    if document.get("fixed"):
        used.append("fixed: " + ", ".join(f"{name} = {value:g}" for name, value in document["fixed"].items()))
    return [*used, f"sum of {objective['name']}{delta} over log residuals: {objective['value']:.6g}"]


def _evidence(diagnostics: Mapping[str, Any]) -> list[str]:
    bootstrap = diagnostics["bootstrap"]
    strongest = diagnostics["influential"][0]
    return [
        f"residual spread {100 * diagnostics['residual_sd_log']:.3g} %, "
        f"R2 of log loss {diagnostics['r_squared_log']:.5f}, "
        f"{diagnostics['share_at_best']:.0%} of {diagnostics['starts']} starts at the best optimum, "
        f"{bootstrap['resamples'] - bootstrap['failed']} of {bootstrap['resamples']} resamples refitted",
        *departure(diagnostics["departure"]),
        f"most influential: {strongest['run']} moves {strongest['parameter']} by {strongest['shift_in_se']:+.2f} "
        "standard errors when left out",
    ]


def departure(believed: Mapping[str, Any] | None) -> list[str]:
    """By how much losses depart from the law, as intervals of decisions have it."""
    if believed is None:
        return ["intervals take the law for exact"]
    low, high = (f"{100 * believed['interval'][end]:.2g}" for end in ("low", "high"))
    return [
        f"losses depart from the law by {100 * believed['median']:.2g} % ({low} to {high} %; stated"
        f" {100 * believed['stated']:.2g} %), which plans and predictions contain"
    ]


def _sensitivity(document: Mapping[str, Any]) -> list[str]:
    """The exponent a by other objectives, and whether variable projection finds the same optimum."""
    if "sensitivity" not in document:
        return []
    found = [
        f"{row['objective']}{'' if row['delta'] is None else format(row['delta'], ' g')} "
        + (number(row["derived"]["a"]) if row["status"] == "ok" else "refused")
        for row in document["sensitivity"]
    ]
    agrees = "finds the same optimum" if document["diagnostics"]["variable_projection"]["agrees"] else "DISAGREES"
    return [f"a by objective: {', '.join(found)}; variable projection {agrees}"]


def print_backtest(document: Mapping[str, Any]) -> None:
    """What each law predicted for the runs held out, and what was measured."""
    console = Console(width=WIDTH)
    held = len(document["held_out"])
    lines(console, [f"held out, {held} of {document['provenance']['rows']['used']}: {document['rule']}"])
    summary = Table("law", "mean error", "largest error", "inside the interval")
    for name, entry in document["laws"].items():
        summary.add_row(name, *_hold_out(entry))
    console.print(summary)
    table = Table("law", "run", "cost", "measured", "predicted", f"{document['level']:.0%} interval", "error, %")
    for row in document["rows"][:MOST_ROWS]:
        bounds = {"low": row["low"], "high": row["high"]}
        cells = (number(row["cost"]), number(row["measured"]), number(row["predicted"]), interval(bounds))
        table.add_row(row["law"], row["run"], *cells, f"{row['relative_error_percent']:+.2f}")
    console.print(table)
    if len(document["rows"]) > MOST_ROWS:
        lines(console, [f"and {len(document['rows']) - MOST_ROWS} more rows, all in the JSON"])
    lines(console, _refusals(document["laws"]))


def print_comparison(document: Mapping[str, Any]) -> None:
    """Laws side by side: how well they describe all runs, and how well they predict the largest."""
    console = Console(width=WIDTH)
    held = len(document["held_out"])
    lines(console, [f"held out, {held} of {document['provenance']['rows']['used']}: {document['rule']}"])
    table = Table()
    for heading in ("law", "parameters", "objective", "AICc", "above best", "weight", "hold-out", "inside", "windows"):
        table.add_column(heading, no_wrap=heading == "law")
    for name, entry in document["laws"].items():
        criteria = (number(entry["aicc"], 6), number(entry["aicc_difference"], 4), number(entry["akaike_weight"], 3))
        error, _, inside = _hold_out(entry["hold_out"])
        windows = entry["windows"]
        ahead = f"{100 * windows['mean_absolute_log_error']:.2f} %" if windows["n"] else "-"
        table.add_row(
            name, str(entry["parameters_fitted"]), number(entry["objective"]), *criteria, error, inside, ahead
        )
    console.print(table)
    lines(
        console,
        ["AICc of least squares on log residuals, lower is better; hold-out and windows: mean error of predictions"],
    )
    lines(console, _refusals(document["laws"]))
    lines(console, _refusals({name: entry["hold_out"] for name, entry in document["laws"].items()}, "hold-out of "))


def _hold_out(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    if entry["status"] == "refused":
        return "refused", "-", "-"
    mean, largest = entry["mean_absolute_relative_error"], entry["largest_absolute_relative_error"]
    return f"{100 * mean:.2f} %", f"{100 * largest:.2f} %", f"{entry['coverage']:.0%} of {entry['n']}"


def _refusals(laws: Mapping[str, Mapping[str, Any]], prefix: str = "") -> list[str]:
    return [
        f"{prefix}{name} refused ({entry['reason']['code']}): {entry['reason']['message']}"
        for name, entry in laws.items()
        if entry["status"] == "refused"
    ]

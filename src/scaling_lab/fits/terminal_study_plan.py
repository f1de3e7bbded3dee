"""The decision of a finished study on the terminal: the model, what another size costs, what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from scaling_lab.fits.terminal import WIDTH, departure, interval, lines, number
from scaling_lab.fits.terminal_plan import print_regret


def print_study_plan(document: Mapping[str, Any]) -> None:
    """The plan of one budget; a refused one says why, and nothing else."""
    console, largest = Console(width=WIDTH), document["largest_run"]["flops"]
    if document["simulated"]:
        lines(console, ["SIMULATED: the losses of this study were drawn from planted laws"])
    lines(console, [
        f"study {document['study']}: {document['flops']:.4g} FLOPs ({document['conventions']['flops']['column']}),"
        f" {document['flops'] / largest:.3g} times the largest run; by {document['basis'] or 'no law'}",
    ])  # fmt: skip
    if document["status"] != "ok":
        lines(console, document["warnings"], "refused: ")
        return
    console.print(_decision(document))
    lines(console, departure(document["departure"]) if document["law"] is not None else [])
    lines(console, [_recipe(document["model"]), _hours(document["hours"])])
    if document["law"] is not None:
        lines(console, ["what another size costs at the same budget:"])
        print_regret(console, document["law"]["regret"], document["law"]["params_opt"]["value"])
    if document["sensitivity"] is not None:
        lines(console, ["what other choices of the analysis decide:"])
        console.print(_choices(document))
    reasons = document["do_not_trust_because"]
    lines(console, ["do not trust this because:" if reasons else "nothing found that speaks against it"])
    lines(console, [reason["message"] for reason in reasons], "  - ")
    said = {reason["message"] for reason in reasons}
    lines(console, [note for note in document["warnings"] if note not in said], "note: ")


def _decision(document: Mapping[str, Any]) -> Table:
    source, model = document["law"] or document["isoflop"], document["model"]
    bounds = source["params_opt"]["intervals"]
    headings = (f"{one['level']:.0%} interval" for one in bounds)
    table = Table("", "optimum", *headings, "model to build")
    ratio = source.get("tokens_per_param")
    rows = {
        f"N ({document['conventions']['params']['column']})": (source["params_opt"], f"{model['params']:,}"),
        "D, training tokens": (source["tokens_opt"], f"{model['tokens']:,}"),
        "tokens per parameter": (ratio, number(model["tokens_per_param"])),
        "loss of a new run, nats": (source.get("loss"), number(model["loss"]["value"]) if model["loss"] else "-"),
    }
    for name, (entry, built) in rows.items():
        ends = entry["intervals"] if entry else [None] * len(bounds)
        table.add_row(name, number(entry["value"] if entry else None), *(interval(pair) for pair in ends), built)
    return table


def _recipe(model: Mapping[str, Any]) -> str:
    schedule = model["schedule"]
    parts = f"warmup {schedule['warmup_tokens']:,} tokens"
    if schedule["name"] in ("wsd", "rsqrt"):
        parts += f", cooldown {schedule['cooldown_fraction']:.0%}"
    return (
        f"shape: {model['n_layer']} layers of width {model['d_model']}, {model['n_head']} heads, d_ff {model['d_ff']};"
        f" batch {model['batch_tokens']:,} tokens, {model['steps']:,} steps,"
        f" peak rate {number(model['learning_rate'])},"
        f" {schedule['name']} ({parts})"
    )


def _hours(hours: Mapping[str, float]) -> str:
    return "hours: " + ", ".join(f"{value:.3g} on {name}" for name, value in hours.items())


def _choices(document: Mapping[str, Any]) -> Table:
    table = Table("choice", "N*", "D*", "loss, nats")
    for group, spread in document["sensitivity"]["spread"].items():
        table.add_row(group, *(interval(spread[name]) for name in ("params", "tokens", "loss")))
    return table

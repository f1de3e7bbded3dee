"""A user's plan on the terminal: the decision first, then what another size costs, then the warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from scaling_lab.fits.terminal import WIDTH, departure, interval, lines, number

SHOWN_FACTORS = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)


def print_plan(document: Mapping[str, Any]) -> None:
    """The plan of one budget."""
    console = Console(width=WIDTH)
    lines(console, [f"budget {document['flops']:.4g} FLOPs ({document['flops_convention']}), law {document['law']}"])
    console.print(_decision(document))
    lines(console, departure(document["departure"]))
    for title, block in (("inference", _inference(document)), ("unique tokens", _data_limited(document))):
        if block is not None:
            lines(console, [f"{title}:", *block])
    lines(console, ["what another size costs at the same budget:"])
    print_regret(console, document["regret"], document["params_opt"]["value"])
    lines(console, document["warnings"], "warning: ")


def _decision(document: Mapping[str, Any]) -> Table:
    recipe = document["recipe"]
    first = document["params_opt"]["intervals"]
    table = Table("compute-optimal", "value", *(f"{bounds['level']:.0%} interval" for bounds in first))
    rows = {
        "parameters N": document["params_opt"],
        "training tokens D": document["tokens_opt"],
        "tokens per parameter": document["tokens_per_param"],
        "loss of a new run, nats": document["loss"],
        f"batch in tokens ({recipe['batch_rule']})": recipe["batch_tokens"],
        "serial steps": recipe["steps"],
        f"peak learning rate ({recipe['learning_rate_rule']})": recipe["learning_rate"],
    }
    for name, entry in rows.items():
        bounds = entry["intervals"] if entry else [None] * len(first)
        table.add_row(name, number(entry["value"] if entry else None), *(interval(pair) for pair in bounds))
    if recipe["wall_seconds"] is not None:
        table.add_row("wall time, hours", number(recipe["wall_seconds"] / 3600), *("" for _ in first))
    return table


def _inference(document: Mapping[str, Any]) -> list[str] | None:
    block = document["inference"]
    if block is None:
        return None
    return [
        f"  the same loss with {block['inference_tokens']:.4g} tokens served costs least at "
        f"N = {_with_interval(block['params_opt'])}, D = {_with_interval(block['tokens_opt'])};",
        f"  training and serving take {block['total_flops']:.4g} FLOPs, {block['saving_percent']:.1f} % less than "
        f"the compute-optimal model's {block['total_flops_of_compute_optimal']:.4g}",
    ]


def _data_limited(document: Mapping[str, Any]) -> list[str] | None:
    block = document["data_limited"]
    if block is None:
        return None
    repetition = block["repetition"]
    return [
        f"  with {block['available_unique_tokens']:.4g} unique tokens: N = {_with_interval(block['params_opt'])}, "
        f"D = {_with_interval(block['tokens_opt'])},",
        f"  {_with_interval(block['epochs'])} epochs, loss {_with_interval(block['loss'])}; "
        f"R_D = {number(repetition['R_D'])}, R_N = {number(repetition['R_N'])} ({repetition['source']})",
    ]


def _with_interval(entry: Mapping[str, Any]) -> str:
    bounds = entry["intervals"]
    return f"{number(entry['value'])} ({interval(bounds[0])})" if bounds else number(entry["value"])


def print_regret(console: Console, regret: Mapping[str, Any], best: float) -> None:
    """What sizes from an eighth of N* = `best` to eight times it cost."""
    bound = f"up to ({regret['level']:.0%} of draws)"
    table = Table("N", "N / N*", "loss, nats", bound, "compute wasted, %", bound)
    sizes = np.asarray(regret["params"])
    for factor in SHOWN_FACTORS:
        i = int(np.argmin(np.abs(np.log(sizes / (best * factor)))))
        names = ("loss_nats", "loss_nats_high", "compute_percent", "compute_percent_high")
        cells = (_shown(regret[name][i]) for name in names)
        table.add_row(number(float(sizes[i])), number(factor, 3), *cells)
    console.print(table)


def _shown(value: float | None) -> str:
    """A cost; none, as JSON holds what is not finite, lies beyond the table."""
    return f"{value:.3g}" if value is not None and np.isfinite(value) else "more than 9900"

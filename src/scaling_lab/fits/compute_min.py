"""L(C) and L(C_min) along training curves, and how size, batch, steps and data share a growing compute budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.fits.labels import flops_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, empty_draws, estimate, reason_of
from scaling_lab.fits.table import RunTable
from scaling_lab.fits.training_law import Curves, read_ladder
from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.compute_frontier import QUANTITIES, Frontier, bootstrap_frontier, fit_frontier
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.refusal import FitRefusedError

LAW = LAWS["power"]
OTHER_COUNTS = ("6n", "matmul")


def fit_compute_min(table: RunTable, curves_path: Path, options: FitOptions) -> FitRecord:
    """L(C_min) and N, B, S_min and D as powers of C_min (Kaplan et al. 2020, section 6.1, Tables 5 and 6).

    Beside it the same at the runs' own batch (section 3.3), which is the headline where no batch scan tells B_crit.
    """
    read = read_ladder(table, curves_path, options)
    label = flops_label(options.flops_convention) + (", at a small batch" if read.critical else "")
    variables = {"X": {"column": options.flops_column, "label": label}}
    record = FitRecord("compute_min", LAW.name, LAW.equation, variables, options.fitting_objective, read.selection)
    record.blocks["critical_batch"] = read.block(options.level)
    record.draws, record.points = empty_draws(LAW), _points([])
    found = {"naive": _envelope(read, None, None, options)}
    if read.critical is not None:
        found["adjusted"] = _envelope(read, read.critical, read.draws, options)
    for name, (block, _, _) in found.items():
        record.blocks[name] = block
    block, frontier, draws = found.get("adjusted", found["naive"])
    record.points = _points([(name, envelope) for name, (_, envelope, _) in found.items() if envelope is not None])
    if frontier is None or draws is None:
        record.refusal = block["refusal"]
    else:
        record.parameters = block["laws"]["loss"]
        record.derived = {f"{name}_exponent": block["laws"][name]["exponent"] for name in QUANTITIES if name != "loss"}
        record.draws = draws.values
        record.diagnostics = {
            "n_points": len(frontier.flops),
            "bootstrap": block["bootstrap"],
            "warnings": read.warnings,
        }
        record.blocks["other_counts"] = _other_counts(table, curves_path, options)
    for name in found:
        del record.blocks[name]["refusal"]
    return record


def _envelope(
    read: Curves, critical: Any, critical_draws: Draws | None, options: FitOptions
) -> tuple[dict[str, Any], Frontier | None, Draws | None]:
    """One envelope: its laws with intervals, or why there is none."""
    try:
        frontier = fit_frontier(read.ladder, critical)
    except FitRefusedError as refusal:
        return {"status": "refused", "reason": reason_of(refusal), "refusal": refusal}, None, None
    draws = bootstrap_frontier(read.ladder, critical_draws, options.resampling)
    draws.values.update(_scale_of_loss(draws))
    laws = {name: _law(name, *frontier.laws[name], frontier, draws, options.level) for name in QUANTITIES}
    exponent, coefficient = frontier.laws["loss"]
    laws["loss"] = {
        "Xc": estimate(coefficient ** (-1 / exponent), None, draws, "Xc", options.level),
        "alpha": estimate(-exponent, None, draws, "alpha", options.level),
    }
    failed = sum(draws.failed.values())
    counted = {"resamples": draws.resamples, "failed": failed, "failed_by_reason": draws.failed}
    block = {"status": "ok", "reason": None, "laws": laws, "bootstrap": counted, "refusal": None}
    return block | {"flops": {"low": frontier.flops.min(), "high": frontier.flops.max()}}, frontier, draws


def _scale_of_loss(draws: Draws) -> dict[str, Array]:
    """Xc and alpha of L = (Xc / C)^alpha from the draws of its line."""
    exponent, coefficient = draws.values["loss_exponent"], draws.values["loss_coefficient"]
    return {"Xc": coefficient ** (-1 / exponent), "alpha": -exponent}


def _law(
    name: str, exponent: float, coefficient: float, frontier: Frontier, draws: Draws, level: float
) -> dict[str, Any]:
    """A quantity as a power of compute: its exponent, and its value at a PF-day and in the middle of the measured."""
    middle = float(np.sqrt(frontier.flops.min() * frontier.flops.max()))
    entry: dict[str, Any] = {"exponent": estimate(exponent, None, draws, f"{name}_exponent", level)}
    for place, flops in (("at_pf_day", PF_DAY), ("in_the_middle", middle)):
        drawn = draws.values[f"{name}_coefficient"] * flops ** draws.values[f"{name}_exponent"]
        at = Draws({"value": drawn}, draws.resamples, draws.failed)
        entry[place] = {"flops": flops} | estimate(coefficient * flops**exponent, None, at, "value", level)
    return entry


def _other_counts(table: RunTable, curves_path: Path, options: FitOptions) -> dict[str, Any]:
    """The exponents when compute counts the attention and the head as well, or neither."""
    counts: dict[str, Any] = {}
    for convention in OTHER_COUNTS:
        read = read_ladder(table, curves_path, options.model_copy(update={"flops_convention": convention}))
        try:
            laws = fit_frontier(read.ladder, read.critical).laws
            counts[convention] = {"status": "ok", "reason": None, "exponents": {name: laws[name][0] for name in laws}}
        except FitRefusedError as refusal:
            counts[convention] = {"status": "refused", "reason": reason_of(refusal), "exponents": {}}
    return counts


def _points(envelopes: list[tuple[str, Frontier]]) -> dict[str, Any]:
    columns = ("flops", *QUANTITIES)
    return {
        "envelope": [name for name, frontier in envelopes for _ in frontier.flops],
        **{c: np.concatenate([np.empty(0), *(getattr(frontier, c) for _, frontier in envelopes)]) for c in columns},
    }

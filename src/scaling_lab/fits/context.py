"""Loss along the context, and what a short one costs or saves: Kaplan et al. 2020, appendix D.5, Figures 20 and 21."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import norm

from scaling_lab.fits.experiment import Measured, add_finding, new_experiment
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, law_estimates, reason_of
from scaling_lab.fits.positions import read_positions
from scaling_lab.fits.selection import Selection, largest_tokens, status_ok
from scaling_lab.fits.table import RunTable
from scaling_lab.science.bootstrap import bootstrap_law
from scaling_lab.science.fitting import fit_law
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.positions import binned, position_bins
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.straight import resampled_weights

FEWEST_SIZES, FEWEST_POSITIONS = 4, 8
# Of every law along the context: a law each for many sizes.
_RESAMPLES = 100
SOURCE = "Kaplan et al. 2020, appendix D.5"


def fit_context(table: RunTable, options: FitOptions) -> FitRecord:
    """E_T + k T^-p of every size on the most data, the power of N at every position, and short contexts beside long.

    Positions are counted from 1: the loss at T is that of the token after T others.
    """
    every = status_ok(Selection(table))
    contexts = every.table.numbers("context")
    longest = every.keep("longest_context", contexts == contexts.max(), [f"context is {c:.0f}" for c in contexts])
    ladder = largest_tokens(longest, "params_non_embedding")
    used, losses = ladder.table, read_positions(ladder.table)
    points = {"N": used.numbers("params_non_embedding"), "loss": used.numbers(options.loss_column)}
    variables = {"N": ("params_non_embedding", "Non-embedding parameters")}
    record = new_experiment("context", LAWS["position"].equation, ladder, variables, points)
    try:
        _require(points["N"], int(contexts.max()))
        record.blocks["sizes"] = _position_laws(points["N"], losses, options)
        _add_powers(record, losses, options)
        record.blocks["short"] = _short_contexts(record, every.table, options)
    except FitRefusedError as refusal:
        record.refusal = refusal
    return record


def _require(params: Array, context: int) -> None:
    if len(np.unique(params)) < FEWEST_SIZES or context < FEWEST_POSITIONS:
        message = f"{len(np.unique(params))} sizes of context {context}"
        needed = f"at least {FEWEST_SIZES} sizes and {FEWEST_POSITIONS} positions"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{message}; {needed}")


def _position_laws(params: Array, losses: list[Array], options: FitOptions) -> list[dict[str, Any]]:
    """The law of each run along its context, or why there is none."""
    law, rows = LAWS["position"], []
    for size, loss in sorted(zip(params, losses, strict=True), key=lambda pair: pair[0]):
        entry: dict[str, Any] = {"params_non_embedding": size, "loss_by_position": loss, "parameters": {}}
        try:
            result = fit_law(law, {"T": np.arange(1.0, len(loss) + 1)}, loss, options.fitting_objective)
            draws = bootstrap_law(result, replace(options.resampling, resamples=_RESAMPLES, starts=1))
        except FitRefusedError as refusal:
            rows.append(entry | {"status": "refused", "reason": reason_of(refusal), "scatter_nats": None})
            continue
        parameters, _ = law_estimates(result, draws, options.level)
        scatter = float(np.std(loss - result.predicted, ddof=3))
        rows.append(entry | {"status": "ok", "reason": None, "parameters": parameters, "scatter_nats": scatter})
    return rows


def _add_powers(record: FitRecord, losses: list[Array], options: FitOptions) -> None:
    """alpha of L ~ N^-alpha at each range of positions; sizes are drawn with replacement for the intervals."""
    params = record.points["N"]
    bins = position_bins(len(losses[0]))
    table = np.array([binned(loss, bins) for loss in losses])
    weights = resampled_weights(len(params), options.bootstrap, options.seed)
    rows: list[dict[str, Any]] = []
    for column, (first, last) in enumerate(bins):
        slope, _ = fit_power_line(params, table[:, column])
        drawn, _ = fit_power_line(params[None, :], np.broadcast_to(table[:, column], weights.shape), weights)
        alpha = Measured(-float(slope), -drawn)
        record.draws[f"alpha_{last}"] = alpha.draws
        rows.append({"first": first, "last": last, "loss": table[:, column], "alpha": alpha.as_json(options.level)})
    record.blocks["positions"] = rows
    record.parameters = {f"alpha_{row['last']}": row["alpha"] for row in rows}
    for row in (rows[0], rows[-1]):
        add_finding(record, f"power of N at positions {row['first']} to {row['last']}", row["alpha"])
    gain = Measured(
        rows[-1]["alpha"]["value"] - rows[0]["alpha"]["value"],
        record.draws[f"alpha_{bins[-1][1]}"] - record.draws[f"alpha_{bins[0][1]}"],
    )
    add_finding(record, "power of N at the last positions less that at the first", gain.as_json(options.level))


def _short_contexts(record: FitRecord, table: RunTable, options: FitOptions) -> list[dict[str, Any]]:
    """A model of a short context less its twin of the longest, on the positions that both have, in nats.

    The twins see other windows of one text: the error is the scatter of the losses of single positions about their law,
    the same windows for every size, so that a mean over sizes has it as well.
    """
    contexts, losses = table.numbers("context"), read_positions(table)
    keys = _twins(table)
    scatter = [row["scatter_nats"] for row in record.blocks["sizes"] if row["scatter_nats"] is not None]
    rows = []
    for short in np.unique(contexts[contexts < contexts.max()]).astype(int):
        pairs = [
            (keys[(name, short)], keys[(name, int(contexts.max()))])
            for name, context in keys
            if context == short and (name, int(contexts.max())) in keys
        ]
        gaps = [float(losses[a].mean() - losses[b][:short].mean()) for a, b in pairs]
        if not gaps or not scatter:
            continue
        error = float(np.mean(scatter)) * np.sqrt((1 + short / contexts.max()) / short)
        estimate = _normal(float(np.mean(gaps)), error, options)
        quantity = f"loss of a context of {short} less that of {contexts.max():.0f} on the first {short} positions"
        add_finding(record, quantity, estimate, unit="nats per token", source=SOURCE + ": below 0")
        params = [float(table.numbers("params_non_embedding")[a]) for a, _ in pairs]
        rows.append({"context": int(short), "params": params, "gaps": gaps, "mean": estimate, "error_nats": error})
    return rows


def _twins(table: RunTable) -> dict[tuple[str, int], int]:
    """Row of each (model and data but for the context, context); the first of several seeds."""
    columns = ("n_layer", "d_model", "n_head", "d_ff")
    rows: dict[tuple[str, int], int] = {}
    amounts = groups_of(table.numbers("tokens"))  # whole batches differ by the context
    for row, context in enumerate(table.numbers("context").astype(int)):
        name = " ".join([*(str(table.columns[c][row]) for c in columns), str(amounts[row])])
        rows.setdefault((name, int(context)), row)
    return rows


def _normal(value: float, error: float, options: FitOptions) -> Mapping[str, Any]:
    reach = error * float(norm.ppf((1 + options.level) / 2))
    return {
        "value": value, "se": error, "interval": {"level": options.level, "low": value - reach, "high": value + reach},
    }  # fmt: skip

"""When the loss of limited data turns: the bound of Eq 5.7, and the steps measured (Kaplan et al. 2020, Figure 16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from scaling_lab.fits.early_stopped import select_early_stopped
from scaling_lab.fits.experiment import Measured, add_finding, new_experiment
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, law_estimates
from scaling_lab.fits.selection import Selection
from scaling_lab.fits.table import Mask, RunTable
from scaling_lab.science.bootstrap import Draws, bootstrap_law
from scaling_lab.science.fitting import FitResult, fit_law
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.overfitting import early_stopping_bound
from scaling_lab.science.published import PUBLISHED
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

EQUATION = "S_stop >= Sc / [L(N, D) - L(N, inf)]^(1 / alpha_S)"
FEWEST_SIZES, FEWEST_STOPPED = 3, 3
WIDEST = 30.0  # ratio of the ends of the bound's interval beyond which it tells nothing


def fit_stopping_bound(table: RunTable, curves: Path, options: FitOptions) -> FitRecord:
    """Eq 5.7 with Sc and alpha_S from the validation curves of the runs on unlimited data, of the same recipe.

    Steps are those of the recipe's one batch, in the law as in the runs. L(N, inf) is the run on the most data.
    """
    selection = select_early_stopped(table)
    used = selection.table
    loss, unlimited = used.numbers(options.loss_column), unlimited_loss(used, options)
    steps, stopped = used.floats("best_tokens") / used.numbers("batch_tokens"), _turned(used)
    points = {
        "N": used.numbers("params_non_embedding"), "D": used.numbers("unique_tokens"), "loss": loss,
        "unlimited_loss": unlimited, "stopping_step": steps, "turned": stopped,
    }  # fmt: skip
    variables = {
        "N": ("params_non_embedding", "Non-embedding parameters"),
        "D": ("unique_tokens", "Unique tokens"),
    }
    record = new_experiment("stopping_bound", EQUATION, selection, variables, points)
    try:
        result, draws = _fit_steps(selection, unlimited == loss, curves, options)
        _judge(record, result, draws, options)
    except FitRefusedError as refusal:
        record.refusal = refusal
    return record


def unlimited_loss(table: RunTable, options: FitOptions) -> Array:
    """Loss [n] of the run of each run's size on the most data."""
    params, data = table.numbers("params_non_embedding"), table.numbers("unique_tokens")
    loss = table.numbers(options.loss_column)
    best = {size: loss[(params == size) & (data == data[params == size].max())].min() for size in np.unique(params)}
    return np.array([best[size] for size in params])


def _turned(table: RunTable) -> Mask:
    """Runs whose validation loss turned before their horizon."""
    return np.asarray(np.isfinite(table.floats("stopped_at_tokens")), dtype=bool)


def _fit_steps(selection: Selection, unlimited: Mask, curves: Path, options: FitOptions) -> tuple[FitResult, Draws]:
    """L(N, S), Eq 5.6, on the validation losses of the unlimited runs after their warmup."""
    table = selection.table.take(unlimited)
    params, steps, loss, runs = _validation_curves(table, curves)
    if len(np.unique(params)) < FEWEST_SIZES:
        message = f"{len(np.unique(params))} sizes with unlimited data; at least {FEWEST_SIZES} are needed for L(N, S)"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    result = fit_law(LAWS["kaplan_steps"], {"N": params, "S": steps}, loss, options.fitting_objective)
    return result, bootstrap_law(result, options.resampling, runs)


def _validation_curves(table: RunTable, curves: Path) -> tuple[Array, Array, Array, Any]:
    """N, step, validation loss and number of the run, of every evaluation after the peak of the rate."""
    columns = pq.read_table(curves, columns=["run", "step", "learning_rate", "validation_loss_nats"]).to_pydict()
    names = np.array(columns.pop("run"), dtype=object)
    step, rate, loss = (np.array(values, dtype=np.float64) for values in columns.values())
    found: list[tuple[Array, ...]] = []
    for index, (run, size) in enumerate(zip(table.runs, table.numbers("params_non_embedding"), strict=True)):
        own = names == run
        warm = step >= step[own][np.argmax(rate[own])]
        rows = own & warm & np.isfinite(loss)
        count = int(rows.sum())
        found.append((np.full(count, size), step[rows], loss[rows], np.full(count, index)))
    params, steps, losses, runs = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return params, steps, losses, runs


def _judge(record: FitRecord, result: FitResult, draws: Draws, options: FitOptions) -> None:
    record.parameters, record.derived = law_estimates(result, draws, options.level)
    record.draws = draws.values
    for name, published in PUBLISHED["kaplan_steps"].values.items():
        add_finding(record, name, record.parameters[name], published=published, source="Kaplan et al. 2020, Table 3")
    points = record.points
    turned = points["turned"] & (points["loss"] > points["unlimited_loss"])
    if turned.sum() < FEWEST_STOPPED:
        message = (
            f"the validation loss of {int(turned.sum())} runs turned before the horizon; at least {FEWEST_STOPPED}"
        )
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    loss, unlimited = points["loss"], np.minimum(points["unlimited_loss"], points["loss"])
    with np.errstate(divide="ignore", over="ignore"):
        bound = early_stopping_bound(loss, unlimited, result.parameters["Sc"], result.parameters["alpha_S"])
        drawn = early_stopping_bound(
            loss[None, :], unlimited[None, :], draws.values["Sc"][:, None], draws.values["alpha_S"][:, None]
        )
    record.points["bound"] = bound
    low, high = np.quantile(drawn[:, turned], [(1 - options.level) / 2, (1 + options.level) / 2], axis=0)
    if not np.median(high / low) < WIDEST:
        message = f"L(N, S) of these curves leaves the bound open over a factor of {np.median(high / low):.3g}"
        raise FitRefusedError(RefusalCode.NOT_IDENTIFIED, f"{message}; at most {WIDEST:g}")
    steps = points["stopping_step"][turned]
    above = Measured(float(np.mean(steps >= bound[turned])), np.mean(steps >= drawn[:, turned], axis=1))
    add_finding(
        record, "share of stopped runs at or above the bound", above.as_json(options.level),
        published=1.0, source="Kaplan et al. 2020, Figure 16: every point",
    )  # fmt: skip
    ratio = Measured(
        float(np.exp(np.mean(np.log(steps / bound[turned])))),
        np.exp(np.mean(np.log(steps / drawn[:, turned]), axis=1)),
    )
    add_finding(record, "stopping step over bound, geometric mean", ratio.as_json(options.level))

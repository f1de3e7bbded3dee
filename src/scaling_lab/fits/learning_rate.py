"""The best peak rate of each size, and the rule through them: Kaplan et al. 2020, appendix D.6 and Eq D.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.fits.experiment import Measured, Noise, add_finding, new_experiment, seed_noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord
from scaling_lab.fits.rates import OFF_OPTIMUM
from scaling_lab.fits.selection import Selection, one_amount, status_ok
from scaling_lab.fits.sweeps import optimum_of, without_draws
from scaling_lab.fits.table import Mask, RunTable
from scaling_lab.science.laws import Array
from scaling_lab.science.parabola import Words
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.straight import fit_line

EQUATION = "L = parabola in log rate at each N; best rate = a + b log N (Eq D.1), or c N^-q"
FEWEST_RATES, FEWEST_SIZES = 4, 3
KAPLAN_RULE = {"a": 0.003239, "b": -0.0001395}
# Columns in which the runs of one sweep agree: the rate alone differs.
_HELD = ("schedule", "cooldown_fraction", "final_fraction", "batch_tokens", "seed")


@dataclass(frozen=True)
class Sweep:
    """Runs of one model that differ in their rate."""

    params: float
    rates: Array
    loss: Array
    runs: list[str]


def fit_learning_rate(table: RunTable, options: FitOptions) -> FitRecord:
    """A parabola of loss in log rate at every size, refused at an edge, and both rules through the minima.

    The middle rate of a sweep is the recipe's. Intervals are from the noise of seeds, or the residuals if larger.
    """
    finished = status_ok(Selection(table))
    amount = one_amount(finished)
    mask, sweeps = _sweeps(amount.table, options)
    selection = amount.keep("rate_sweeps", mask, ["no sweep of four rates, all else equal"] * len(mask))
    used = selection.table
    variables = {
        "X": ("learning_rate", "Peak learning rate"),
        "N": ("params_non_embedding", "Non-embedding parameters"),
    }
    points = {name: used.numbers(column) for name, (column, _) in variables.items()}
    loss = used.numbers(options.loss_column)
    record = new_experiment("learning_rate", EQUATION, selection, variables, {**points, "loss": loss})
    try:
        noise = seed_noise(finished.table, options.loss_column)
        record.diagnostics["seed_noise"] = {"relative_sd": noise.relative_sd, "degrees_of_freedom": noise.freedom}
        sizes = [_optimum(sweep, noise, options) for sweep in sweeps]
        record.blocks["sizes"] = without_draws(sizes)
        _add_rules(record, [size for size in sizes if size["status"] == "ok"], options)
    except FitRefusedError as refusal:
        record.refusal = refusal
    return record


def _sweeps(table: RunTable, options: FitOptions) -> tuple[Mask, list[Sweep]]:
    """Rows of the sweeps of four rates or more, and the sweeps by size; of one model the sweep with the most rates."""
    models, rates = np.array(table.models()), table.numbers("learning_rate")
    loss, params = table.numbers(options.loss_column), table.numbers("params_non_embedding")
    held = list(zip(*(table.columns[name] for name in _HELD if name in table.columns), strict=True))
    groups: dict[Any, list[int]] = {}
    for row, key in enumerate(zip(models.tolist(), held, strict=True)):
        groups.setdefault(key, []).append(row)
    best: dict[str, list[int]] = {}
    for (model, _), rows in groups.items():
        if len(np.unique(rates[rows])) >= max(FEWEST_RATES, len(best.get(model, [])) + 1):
            best[model] = sorted(rows, key=lambda row: rates[row])
    mask = np.zeros(len(table), dtype=bool)
    mask[[row for rows in best.values() for row in rows]] = True
    sweeps = [
        Sweep(float(params[rows[0]]), rates[rows], loss[rows], [table.runs[row] for row in rows])
        for rows in sorted(best.values(), key=lambda rows: params[rows[0]])
    ]
    return mask, sweeps


def _optimum(sweep: Sweep, noise: Noise, options: FitOptions) -> dict[str, Any]:
    """The parabola of one size with its minimum, what the recipe's rate loses to it, and the rates off the optimum."""
    tried = f"rates tried, {sweep.rates.min():.3g} to {sweep.rates.max():.3g}"
    found = optimum_of(sweep.rates, sweep.loss, noise, Words(f"N = {sweep.params:.4g}", "rate", tried), options)
    middle, loss = len(sweep.rates) // 2, sweep.loss
    entry: dict[str, Any] = {
        "params_non_embedding": sweep.params, "rates": sweep.rates, "recipe_rate": float(sweep.rates[middle]),
        "off_optimum": [sweep.runs[place] for place in np.flatnonzero(loss > loss.min() * (1 + OFF_OPTIMUM))],
        "cost_of_recipe_percent": None,
    }  # fmt: skip
    if found["status"] == "ok":
        at = np.log([sweep.rates[middle], found["best"]["value"]]) - found["centre"]
        recipe, best = np.polyval(found["coefficients"], at)
        entry["cost_of_recipe_percent"] = float(100 * (recipe / best - 1))
    return entry | found


def _add_rules(record: FitRecord, sizes: list[dict[str, Any]], options: FitOptions) -> None:
    """a + b log N and c N^-q through the best rates.

    Raises:
        FitRefusedError: fewer than three sizes have their optimum inside the rates tried.
    """
    if len(sizes) < FEWEST_SIZES:
        reasons = "; ".join(size["reason"]["message"] for size in record.blocks["sizes"] if size["reason"])
        message = f"the best rate lies inside those tried at {len(sizes)} sizes; at least {FEWEST_SIZES}. {reasons}"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message.strip())
    log_n = np.log([size["params_non_embedding"] for size in sizes])
    best, drawn = np.array([size["best"]["value"] for size in sizes]), np.column_stack([s["draws"] for s in sizes])
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    linear, linear_draws = fit_line(log_n, best), fit_line(log_n[None, :], drawn)
    power, power_draws = fit_line(log_n, np.log(best)), fit_line(log_n[None, :], np.log(drawn))
    found = {
        "a": Measured(float(linear.intercept), linear_draws.intercept),
        "b": Measured(float(linear.slope), linear_draws.slope),
        "c": Measured(float(np.exp(power.intercept)), np.exp(power_draws.intercept)),
        "q": Measured(-float(power.slope), -power_draws.slope),
    }
    record.draws = {name: measured.draws for name, measured in found.items()}
    record.parameters = {name: measured.as_json(options.level) for name, measured in found.items()}
    for name, published in KAPLAN_RULE.items():
        add_finding(
            record, f"{name} of best rate = a + b log N", record.parameters[name], published=published,
            source="Kaplan et al. 2020, Eq D.1",
        )  # fmt: skip
    add_finding(record, "q of best rate = c N^-q", record.parameters["q"])
    errors = {"linear": best - linear(log_n), "power": best - np.exp(power(log_n))}
    record.blocks["rule_errors"] = {name: float(np.sqrt(np.mean((e / best) ** 2))) for name, e in errors.items()}

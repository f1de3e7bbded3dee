"""The fewest steps and tokens that each size needs to reach a loss (Kaplan et al. 2020, appendix D.4, Figure 19)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.fits.labels import params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, empty_draws, estimate
from scaling_lab.fits.table import Mask, RunTable
from scaling_lab.fits.training_law import Curves, read_ladder
from scaling_lab.science.batch import compute_at_small_batch, steps_at_large_batch
from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.training_law import Critical, drawn_critical

LAW = LAWS["power"]
TARGETS, MINIMUM_SIZES = 8, 3


def fit_sample_efficiency(table: RunTable, curves_path: Path, options: FitOptions) -> FitRecord:
    """S_min and E_min to fixed losses against N: exponents at each loss, and how much the largest size saves.

    The headline is E_min = k N^-p at the lowest loss that half of the sizes reach, written (Xc / N)^alpha.
    """
    read = read_ladder(table, curves_path, options)
    variables = {"X": {"column": options.params_convention, "label": params_label(options.params_convention)}}
    record = FitRecord(
        "sample_efficiency", LAW.name, LAW.equation, variables, options.fitting_objective, read.selection
    )
    record.blocks["critical_batch"] = read.block(options.level)
    record.draws = empty_draws(LAW)
    params = np.array([curve.params for curve in read.ladder])
    losses = _targets(read)
    steps = np.array([curve.steps_to(losses) for curve in read.ladder])  # [runs, targets]
    batch = np.array([curve.batch for curve in read.ladder])[:, None]
    fewest_steps, fewest_tokens = _fewest(steps, batch, losses, read.critical)
    record.points = _points(read, losses, steps, batch, fewest_steps, fewest_tokens)
    enough = np.flatnonzero(np.isfinite(steps).sum(axis=0) >= MINIMUM_SIZES).tolist()
    if not enough:
        message = f"no loss is reached by {MINIMUM_SIZES} sizes after their warmup"
        record.refusal = FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
        return record
    drawn = _draws(read, steps, batch, losses, options)
    at_loss = [_at_loss(k, losses, params, fewest_steps, fewest_tokens, drawn, options.level) for k in enough]
    record.blocks["losses"] = at_loss
    half = [k for k in enough if np.isfinite(steps[:, k]).sum() >= max(MINIMUM_SIZES, len(params) / 2)]
    chosen = half[-1] if half else enough[0]
    _headline(record, chosen, losses, params, fewest_tokens, drawn, options.level)
    failed = options.bootstrap - len(record.draws["alpha"])
    counted = {"resamples": options.bootstrap, "failed": failed, "failed_by_reason": {"too_few_sizes": failed}}
    record.diagnostics = {"n_points": int(np.isfinite(steps).sum()), "bootstrap": counted, "warnings": read.warnings}
    return record


def _targets(read: Curves) -> Array:
    """Losses from the highest to the lowest that three sizes reach."""
    begins = sorted((float(curve.loss[0]) for curve in read.ladder), reverse=True)
    ends = sorted(float(curve.loss.min()) for curve in read.ladder)
    few = min(MINIMUM_SIZES, len(ends)) - 1
    return np.geomspace(begins[few] / 1.002, ends[few] * 1.002, TARGETS)


def _fewest(steps: Array, batch: Array, losses: Array, critical: Critical | None) -> tuple[Array, Array]:
    """S_min and E_min [runs, targets] (Eq 5.4, 5.5); S and E where no critical batch is known."""
    if critical is None:
        return steps, steps * batch
    needed = critical(losses)
    fewest_steps = steps_at_large_batch(steps, batch, needed)
    return np.asarray(fewest_steps), np.asarray(compute_at_small_batch(steps * batch, batch, needed))


def _draws(
    read: Curves, steps: Array, batch: Array, losses: Array, options: FitOptions
) -> list[tuple[Array, Array, Mask]]:
    """S_min, E_min and whether a size counts, for draws of the sizes and of the critical batch."""
    rng = np.random.default_rng(options.seed)
    drawn = []
    for index in range(options.bootstrap):
        critical = None if read.draws is None else drawn_critical(read.draws, index)
        kept = np.bincount(rng.integers(0, len(steps), len(steps)), minlength=len(steps)) > 0
        drawn.append((*_fewest(steps, batch, losses, critical), kept))
    return drawn


def _line(params: Array, fewest: Array, kept: Mask) -> tuple[float, float]:
    """Exponent and coefficient of `fewest` [runs] against N, over the sizes that reached the loss."""
    there = np.isfinite(fewest) & kept
    if len(np.unique(params[there])) < 2:
        return np.nan, np.nan
    slope, level = fit_power_line(params[there], fewest[there])
    return float(slope), float(level)


def _at_loss(
    k: int, losses: Array, params: Array, steps: Array, tokens: Array, drawn: list[Any], level: float
) -> dict[str, Any]:
    everyone = np.ones(len(params), dtype=bool)
    entry: dict[str, Any] = {"loss": losses[k], "sizes": int(np.isfinite(steps[:, k]).sum())}
    for name, values, which in (("steps", steps, 0), ("tokens", tokens, 1)):
        slopes = np.array([_line(params, draw[which][:, k], draw[2])[0] for draw in drawn])
        usable = Draws({"exponent": slopes[np.isfinite(slopes)]}, len(drawn), {})
        entry[f"{name}_exponent"] = estimate(_line(params, values[:, k], everyone)[0], None, usable, "exponent", level)
        there = np.flatnonzero(np.isfinite(values[:, k]))
        small, large = there[np.argmin(params[there])], there[np.argmax(params[there])]
        entry[f"{name}_gain"] = {
            "factor": values[small, k] / values[large, k], "smallest": params[small], "largest": params[large]
        }  # fmt: skip
    return entry


def _headline(
    record: FitRecord, k: int, losses: Array, params: Array, tokens: Array, drawn: list[Any], level: float
) -> None:
    """E_min = (Xc / N)^alpha at one loss: alpha > 0 where larger models need fewer tokens."""
    lines = np.array([_line(params, draw[1][:, k], draw[2]) for draw in drawn])
    lines = lines[np.isfinite(lines).all(axis=1) & (lines[:, 0] != 0)]
    draws = Draws(
        {"Xc": lines[:, 1] ** (-1 / lines[:, 0]), "alpha": -lines[:, 0]},
        len(drawn),
        {"too_few_sizes": len(drawn) - len(lines)},
    )
    slope, at_one = _line(params, tokens[:, k], np.ones(len(params), dtype=bool))
    values = {"Xc": at_one ** (-1 / slope), "alpha": -slope}
    record.parameters = {name: estimate(value, None, draws, name, level) for name, value in values.items()}
    record.draws, record.blocks["headline_loss"] = draws.values, losses[k]


def _points(
    read: Curves, losses: Array, steps: Array, batch: Array, fewest_steps: Array, fewest_tokens: Array
) -> dict[str, Any]:
    rows = [(i, k) for i in range(len(steps)) for k in range(len(losses)) if np.isfinite(steps[i, k])]
    runs, targets = (np.array([row[j] for row in rows], dtype=np.intp) for j in (0, 1))
    return {
        "run": [read.ladder[i].run for i in runs],
        "params": np.array([curve.params for curve in read.ladder])[runs],
        "loss": losses[targets],
        "steps": steps[runs, targets],
        "tokens": (steps * batch)[runs, targets],
        "fewest_steps": fewest_steps[runs, targets],
        "fewest_tokens": fewest_tokens[runs, targets],
    }

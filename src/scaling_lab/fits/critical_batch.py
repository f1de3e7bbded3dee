"""B_crit(L) of a study's batch scan, and the gradient noise scale that its runs measured beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.fits.experiment import Measured
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, estimate, reason_of
from scaling_lab.fits.table import RunTable
from scaling_lab.fits.training_curves import read_training_curves
from scaling_lab.science.batch_by_size import compare_sizes
from scaling_lab.science.batch_scan import scan_batches
from scaling_lab.science.bootstrap import Draws
from scaling_lab.science.critical_batch import CriticalBatch, bootstrap_critical_batch, fit_critical_batch
from scaling_lab.science.fitting import Objective
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.refusal import FitRefusedError
from scaling_lab.science.training_curve import TrainingCurve

LAW = LAWS["critical_batch"]
NOISE_BINS = 12  # of the logarithm of the loss


def fit_critical(table: RunTable, curves_path: Path, options: FitOptions) -> FitRecord:
    """B_crit = B* / L^(1 / alpha_B) from hyperbolas of steps and tokens (Kaplan et al. 2020, Eq 1.4, 5.1 to 5.3)."""
    selection, curves = read_training_curves(curves_path, table, options)
    variables = {"L": {"column": "train_loss_smoothed_nats", "label": "training loss, nats per token"}}
    record = FitRecord("critical_batch", LAW.name, LAW.equation, variables, Objective("squares"), selection)
    record.draws = {name: np.empty(0) for name in (*LAW.parameter_names, *LAW.derived)}
    record.points = {name: [] for name in ("run", "loss", "params", "batch", "steps", "tokens", "predicted")}
    record.blocks["noise_scale"] = noise_scale(curves)
    record.blocks["by_size"] = size_dependence(curves, options)
    try:
        found, draws = measure_critical_batch(curves, options)
    except FitRefusedError as refusal:
        record.refusal = refusal
        return record
    record.parameters = critical_parameters(found, draws, options.level)
    draws.values["loss_exponent"] = 1 / draws.values["alpha_B"]
    record.derived = {"loss_exponent": estimate(1 / found.alpha_B, None, draws, "loss_exponent", options.level)}
    record.draws = {name: draws.values[name] for name in (*LAW.parameter_names, *LAW.derived)}
    record.objective_value = float(np.sum(found.residuals**2) / 2)
    record.diagnostics = _diagnostics(found, draws)
    record.blocks["hyperbolas"] = _hyperbolas(found, draws, options.level)
    scan = found.scan
    record.points = {
        "run": list(scan.run), "loss": scan.loss, "params": scan.params, "batch": scan.batch, "steps": scan.steps,
        "tokens": scan.tokens, "predicted": found.predicted,
    }  # fmt: skip
    return record


def measure_critical_batch(curves: list[TrainingCurve], options: FitOptions) -> tuple[CriticalBatch, Draws]:
    """B_crit(L) of the batch scan among the curves. Raises FitRefusedError where they contain none that tells it."""
    found = fit_critical_batch(scan_batches(curves))
    return found, bootstrap_critical_batch(found, options.resampling)


def size_dependence(curves: list[TrainingCurve], options: FitOptions) -> dict[str, Any]:
    """A power of the loss for each size: B_crit at a loss that they share, and whether it depends on N; or why not."""
    try:
        found = compare_sizes(scan_batches(curves), options.resampling)
    except FitRefusedError as refusal:
        return {"status": "refused", "reason": reason_of(refusal), "sizes": []}
    # Either trend refutes one power for all: both intervals together have the study's level.
    level = (1 + options.level) / 2
    sizes = [
        {
            "params": float(params),
            "B_crit": Measured(float(batch), draws).as_json(options.level),
            "loss_exponent": Measured(float(exponent), exponents).as_json(options.level),
        }
        for params, batch, draws, exponent, exponents in zip(
            found.params, found.batch, found.batch_draws, found.exponent, found.exponent_draws, strict=True
        )
    ]
    trends = {name: Measured(*getattr(found, name)).as_json(level) for name in ("growth", "steepening")}
    return {"status": "ok", "reason": None, "loss": found.loss, "sizes": sizes, **trends}


def critical_parameters(found: CriticalBatch, draws: Draws, level: float) -> dict[str, Any]:
    """B_star and alpha_B with their intervals."""
    values = {"B_star": found.B_star, "alpha_B": found.alpha_B}
    return {
        name: estimate(value, float(np.std(draws.values[name])), draws, name, level) for name, value in values.items()
    }


def critical_block(found: CriticalBatch | FitRefusedError, draws: Draws | None, level: float) -> dict[str, Any]:
    """How another fit came by B_crit: its parameters, or why steps and FLOPs stay those of the runs' own batch."""
    if isinstance(found, FitRefusedError):
        return {"status": "refused", "reason": reason_of(found), "parameters": {}}
    assert draws is not None
    measured = {"losses": {"low": found.targets.min(), "high": found.targets.max()}}
    return {"status": "ok", "reason": None, "parameters": critical_parameters(found, draws, level), **measured}


def noise_scale(curves: list[TrainingCurve]) -> dict[str, Array]:
    """Medians of loss and of the gradient noise scale over all runs that measured it, in bins of the loss, by size."""
    rows: list[tuple[float, float, float]] = []
    for params in sorted({curve.params for curve in curves}):
        own = [curve for curve in curves if curve.params == params]
        loss, noise = (np.concatenate([getattr(curve, name) for curve in own]) for name in ("loss", "noise_scale"))
        loss, noise = loss[noise > 0], noise[noise > 0]
        edges = np.geomspace(loss.min(), loss.max() * (1 + 1e-9), NOISE_BINS + 1) if len(loss) else np.empty(0)
        bins = np.digitize(loss, edges)
        rows += [
            (params, float(np.median(loss[bins == b])), float(np.median(noise[bins == b]))) for b in np.unique(bins)
        ]
    columns = np.array(rows).reshape(-1, 3).T
    return dict(zip(("params", "loss", "noise_scale_tokens"), columns, strict=True))


def _diagnostics(found: CriticalBatch, draws: Draws) -> dict[str, Any]:
    scan, warnings = found.scan, []
    edges = sorted({scan.run[i] for i in np.flatnonzero(scan.at_edge)})
    if edges:
        named = ", ".join(edges[:3]) + (", ..." if len(edges) > 3 else "")
        warnings.append(f"the best rate is the lowest or the highest of those tried for {len(edges)} runs: {named}")
    if len(found.outside):
        warnings.append(f"B_crit lies outside the batches tried at {len(found.outside)} of {len(found.targets)} losses")
    return {
        "n_points": len(scan.loss),
        "residual_sd_log": float(np.std(found.residuals)),
        "bootstrap": {
            "resamples": draws.resamples, "failed": sum(draws.failed.values()), "failed_by_reason": draws.failed
        },
        "warnings": warnings,
    }  # fmt: skip


def _hyperbolas(found: CriticalBatch, draws: Draws, level: float) -> list[dict[str, Any]]:
    """Each target loss: its own S_min, E_min and B_crit."""
    return [
        {
            "params": params, "loss": loss, "S_min": s_min, "E_min": e_min,
            "B_crit": estimate(critical, None, draws, f"own_{k}", level), "law": float(found.at(loss)),
        }
        for k, (params, loss, (s_min, e_min, critical)) in enumerate(
            zip(found.params, found.targets, found.own, strict=True)
        )
    ]  # fmt: skip

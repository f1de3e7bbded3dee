"""Approach 1: the lower envelope of a study's training curves, and the size and data on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scaling_lab.fits.curves import LOSS, read_curves
from scaling_lab.fits.isoflop import PARAMETERS, power_law_estimates
from scaling_lab.fits.labels import TOKENS, flops_label, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, departure_block
from scaling_lab.fits.readings import RECORDED_SMOOTH
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.table import RunTable
from scaling_lab.science.bootstrap import exact_and_departing
from scaling_lab.science.curve_envelope import bootstrap_curve_envelope, fit_curve_envelope
from scaling_lab.science.fitting import Objective
from scaling_lab.science.refusal import FitRefusedError

EQUATION = "N_opt = params_coefficient C^a, D_opt = tokens_coefficient C^b on the envelope of the curves"


def fit_training_envelope(table: RunTable, curves: Path, options: FitOptions) -> FitRecord:
    """N_opt(C) and D_opt(C) where the best training curve is near its end (Hoffmann et al. 2022, section 3.1)."""
    selection = status_ok(Selection(table))
    used = selection.table
    variables = {
        "C": {"column": options.flops_column, "label": flops_label(options.flops_convention)},
        "N": {"column": options.params_convention, "label": params_label(options.params_convention)},
        "D": {"column": "tokens", "label": TOKENS},
    }
    record = FitRecord("envelope", "envelope", EQUATION, variables, Objective("squares"), selection)
    record.draws = {name: np.empty(0) for name in PARAMETERS}
    record.points = {"run": [], "C": np.empty(0), "N": np.empty(0), "D": np.empty(0), "loss": np.empty(0)}
    record.diagnostics = {"n_points": 0, "curve_loss": LOSS, "warnings": []}
    read = read_curves(curves, used, options)
    try:
        found = fit_curve_envelope(read, RECORDED_SMOOTH)
    except FitRefusedError as refusal:
        record.refusal = refusal
        return record
    draws, departing = exact_and_departing(
        lambda chosen: bootstrap_curve_envelope(read, chosen, RECORDED_SMOOTH), options.departing
    )
    record.draws = departing.values
    record.parameters = power_law_estimates(found, draws, departing, options.level)
    names = used.runs
    columns = {"C": found.flops, "N": found.params, "D": found.tokens, "loss": found.loss}
    record.points = {"run": [names[i] for i in found.run], **columns}
    record.diagnostics |= {
        "n_points": len(found.flops),
        "sizes": len(np.unique(found.params)),
        "share_mid_schedule": found.share_mid_schedule,
        "departure": departure_block(departing, options),
        "bootstrap": {
            "resamples": draws.resamples,
            "failed": sum(draws.failed.values()),
            "failed_by_reason": draws.failed,
        },
        "warnings": list(found.warnings),
    }
    return record

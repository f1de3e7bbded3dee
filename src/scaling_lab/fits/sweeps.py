"""Sweeps of one setting at a model: the minimum of a parabola in its logarithm, and what a distance from it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scaling_lab.fits.experiment import Measured, Noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, reason_of
from scaling_lab.fits.table import RunTable
from scaling_lab.science.laws import Array
from scaling_lab.science.parabola import Words, coefficient_covariance, drawn_minima, minimum_of
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

NEAR_OPTIMAL = 0.0025  # relative excess loss that DeepSeek 2024 calls near-optimal


def optimum_of(values: Array, loss: Array, noise: Noise, words: Words, options: FitOptions) -> dict[str, Any]:
    """The parabola of losses [n] in the logarithm of the values tried [n] with its minimum, or why there is none."""
    x = np.log(values)
    centre = float(x.mean())
    coefficients = np.polyfit(x - centre, loss, 2)
    residuals = loss - np.polyval(coefficients, x - centre)
    entry: dict[str, Any] = {"loss": loss, "coefficients": coefficients, "centre": centre}
    try:
        covariance = coefficient_covariance(x - centre, residuals)
        found = minimum_of(coefficients, covariance, x.min() - centre, x.max() - centre, words)
    except FitRefusedError as refusal:
        return entry | {"status": "refused", "reason": reason_of(refusal), "best": None}
    drawn = _drawn_minima(x - centre, coefficients, residuals, noise, options)
    best = Measured(float(np.exp(centre + found.at)), np.exp(centre + drawn))
    return entry | {"status": "ok", "reason": None, "best": best.as_json(options.level), "draws": best.draws}


def _drawn_minima(x: Array, coefficients: Array, residuals: Array, noise: Noise, options: FitOptions) -> Array:
    """Minima [resamples] of parabolas through new noise: of seeds, or of the residuals where they are larger."""
    rng = np.random.default_rng(options.seed)
    smooth = np.polyval(coefficients, x)
    rest = float(np.sqrt(np.sum(residuals**2) / max(len(x) - 3, 1)))
    scale = np.maximum(noise.drawn(rng, options.bootstrap) * float(smooth.mean()), rest)
    return drawn_minima(x, smooth + scale[:, None] * rng.standard_normal((options.bootstrap, len(x))))


def without_draws(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Entries as they go into a record."""
    return [{key: value for key, value in entry.items() if key != "draws"} for entry in entries]


def relative_curvature(sweeps: Sequence[Mapping[str, Any]], params: Array) -> Array:
    """k(N): relative excess loss per squared log of a setting over its best, interpolated between the sizes swept."""
    log_n = np.log([sweep["params_non_embedding"] for sweep in sweeps])
    values = [sweep["coefficients"][0] / min(sweep["loss"]) for sweep in sweeps]
    return np.asarray(np.interp(np.log(params), log_n, values))


def add_cells(
    record: FitRecord, table: RunTable, column: str, setting: str, best: Array, sweeps: Sequence[Mapping[str, Any]]
) -> None:
    """Every other run's setting over the best [n] for it, and the loss that it is expected to have lost by that.

    column: of the table; setting: its name in a warning.

    Raises:
        FitRefusedError: there is no such run.
    """
    if not len(table):
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, "the study has no run but the sweeps to hold against them")
    params, values = table.numbers("params_non_embedding"), table.numbers(column)
    factor = values / best
    excess = relative_curvature(sweeps, params) * np.log(factor) ** 2
    far = excess > NEAR_OPTIMAL
    record.points = {"run": table.runs, "N": params, "X": values, "factor": factor, "excess": excess}
    record.blocks["cells"] = {
        "cells": len(table),
        "near_optimal": NEAR_OPTIMAL,
        "beyond": [run for run, out in zip(table.runs, far, strict=True) if out],
        "largest_excess": float(excess.max()),
        "factor_range": [float(factor.min()), float(factor.max())],
    }
    record.diagnostics["n_points"] = len(table)
    if far.any():
        record.diagnostics["warnings"].append(
            f"{int(far.sum())} of {len(table)} cells are expected to lose more than {NEAR_OPTIMAL:.2%} by their"
            f" {setting}, at most {excess.max():.1%}: exponents that rest on them are tilted"
        )

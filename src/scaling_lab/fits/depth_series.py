"""L(N) with and without embeddings in N: which count brings all depths onto one line (Kaplan et al. 2020, Figure 6)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_lab.fits.labels import params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, estimate, law_estimates, reason_of, residual_sd
from scaling_lab.fits.selection import Selection, annealed, largest_tokens, of_one_law_of_any_depth
from scaling_lab.fits.single import new_record
from scaling_lab.fits.table import RunTable
from scaling_lab.science.bootstrap import Draws, bootstrap_law
from scaling_lab.science.fitting import fit_law
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.refusal import FitRefusedError

LAW = LAWS["power"]
COUNTS = ("params_total", "params_non_embedding")


def fit_depth_series(table: RunTable, options: FitOptions) -> FitRecord:
    """One power law through all depths by either count of N: what is left over, and how it splits by depth.

    The law of the record is that of non-embedding N. Models without layers count with their embeddings only: they have
    no other parameter.
    """
    selection = largest_tokens(annealed(of_one_law_of_any_depth(Selection(table))), "params_total")
    used = selection.table
    loss, layers = used.numbers(options.loss_column), used.floats("n_layer")
    sizes = {name: used.floats(name) for name in COUNTS}
    described = {"X": {"column": COUNTS[1], "label": params_label(COUNTS[1])}}
    record = new_record("depth_series", LAW, selection, sizes, described, loss, options)
    record.points |= {"n_layer": layers.astype(int), "X": sizes[COUNTS[1]]}
    try:
        compared = {name: _law(sizes[name], loss, layers, options) for name in COUNTS}
    except FitRefusedError as refusal:
        record.refusal = refusal
        return record
    record.blocks["counts"] = {name: block for name, (block, _) in compared.items()}
    headline, record.draws = compared[COUNTS[1]]
    record.parameters = headline["parameters"]
    predicted = {name: _predicted(compared[name][0], sizes[name]) for name in COUNTS}
    record.points |= {f"predicted_{name}": values for name, values in predicted.items()}
    record.points |= {"predicted": predicted[COUNTS[1]], "residual": np.log(loss / predicted[COUNTS[1]])}
    layered = layers > 0
    with_embeddings = _law(sizes[COUNTS[0]][layered], loss[layered], layers[layered], options)[0]
    ratio = _ratio(sizes, loss, layered, options)
    record.derived = {"variance_ratio": estimate(ratio["value"], None, ratio["draws"], "ratio", options.level)}
    record.blocks["same_models"] = {"params_total": with_embeddings, "params_non_embedding": headline}
    counted = {"resamples": options.bootstrap, "failed": 0, "failed_by_reason": {}}
    record.diagnostics = {"n_points": len(loss), "bootstrap": counted, "warnings": []}
    return record


def _law(sizes: Array, loss: Array, layers: Array, options: FitOptions) -> tuple[dict[str, Any], dict[str, Array]]:
    """The law by one count of N, its residuals by depth, and its draws."""
    there = sizes > 0
    result = fit_law(LAW, {"X": sizes[there]}, loss[there], options.fitting_objective)
    draws = bootstrap_law(result, options.resampling)
    parameters, _ = law_estimates(result, draws, options.level)
    off, depth = result.residuals, layers[there]
    by_depth = [
        {"n_layer": int(d), "runs": int((depth == d).sum()), "mean_residual_log": float(off[depth == d].mean())}
        for d in np.unique(depth)
    ]
    block = {"status": "ok", "reason": reason_of(None), "parameters": parameters, "runs": int(there.sum())}
    return block | {"residual_sd_log": residual_sd(result), "by_depth": by_depth}, draws.values


def _predicted(block: dict[str, Any], sizes: Array) -> Array:
    scale, alpha = (block["parameters"][name]["value"] for name in ("Xc", "alpha"))
    return np.where(sizes > 0, (scale / np.maximum(sizes, 1)) ** alpha, np.nan)


def _ratio(sizes: dict[str, Array], loss: Array, layered: NDArray[np.bool_], options: FitOptions) -> dict[str, Any]:
    """Residual variance with embeddings over that without, of the same models, least squares; draws of the models."""
    rng, rows = np.random.default_rng(options.seed), np.flatnonzero(layered)

    def variance(name: str, chosen: NDArray[np.intp]) -> float:
        x, y = np.log(sizes[name][chosen]), np.log(loss[chosen])
        return float(np.mean((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2))

    def of(chosen: NDArray[np.intp]) -> float:
        return variance(COUNTS[0], chosen) / variance(COUNTS[1], chosen)

    drawn = (rng.choice(rows, len(rows)) for _ in range(options.bootstrap))
    values = np.array([of(chosen) for chosen in drawn if len(np.unique(sizes[COUNTS[1]][chosen])) > 2])
    return {"value": of(rows), "draws": Draws({"ratio": values}, options.bootstrap, {})}

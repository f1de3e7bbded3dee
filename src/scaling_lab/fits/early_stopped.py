"""L(N, D) of runs that stop early, D unique tokens: section 4 of Kaplan et al. 2020, Table 2, and the data needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from scaling_lab.errors import TableError
from scaling_lab.fits.experiment import Measured, add_finding
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, reason_of
from scaling_lab.fits.selection import Selection, finished, one_architecture, one_dataset, stopped_early
from scaling_lab.fits.surface import fit_surface
from scaling_lab.fits.table import RunTable
from scaling_lab.science.fitting import FitResult, Objective, fit_law, gaussian_criteria
from scaling_lab.science.laws import LAWS, Array, power
from scaling_lab.science.overfitting import overfit_excess, overfit_ratio, tokens_for_relative_excess
from scaling_lab.science.published import PUBLISHED
from scaling_lab.science.refusal import FitRefusedError

FEWEST_UPDATES = 60
EXCESS = 0.02  # of the loss, below the scatter between runs: Eq 4.4
EIGHTFOLD = 8  # Kaplan et al. 2020, section 1.1: "8x the model needs 5x the data"
TABLE_2 = "Kaplan et al. 2020, Table 2"


def select_early_stopped(table: RunTable) -> Selection:
    """Runs of one dataset and architecture that stop when validation does not improve.

    Raises:
        TableError: there are none.
    """
    selection = stopped_early(finished(Selection(table)))
    if not len(selection.table):
        raise TableError(f"{table.path}: no run stops early; give a study `training.stopping` and `unique_tokens`")
    return one_architecture(one_dataset(selection))


def _enough_updates(selection: Selection) -> Selection:
    """Subsets of more than 60 updates in an epoch: Table 2 leaves out that of 41, which behaves differently."""
    updates = selection.table.numbers("unique_tokens") / selection.table.numbers("batch_tokens")
    reasons = [f"{count:.0f} updates in an epoch; Table 2 leaves out a subset of 41" for count in updates]
    return selection.keep("enough_updates", np.asarray(updates > FEWEST_UPDATES), reasons)


def fit_early_stopped(table: RunTable, options: FitOptions) -> FitRecord:
    """Eq 1.5 with N without embeddings, the overfitting that it implies, and the data that avoid it (Eq 4.2 to 4.4)."""
    selection = _enough_updates(select_early_stopped(table))
    record, result, draws = fit_surface("kaplan", selection, "params_non_embedding", options, fit="early_stopped")
    record.blocks["findings"] = []
    if result is None or draws is None:
        return record
    for name, published in PUBLISHED["kaplan"].values.items():
        add_finding(record, name, record.parameters[name], published=published, source=TABLE_2)
    _add_exponent(record, draws.values, options)
    record.blocks["data_needed"] = _data_needed(result, draws.values, options)
    record.blocks["overfitting"] = _overfitting(record, result)
    record.blocks["forms"] = _forms(result)
    return record


def _add_exponent(record: FitRecord, draws: dict[str, Array], options: FitOptions) -> None:
    """alpha_N / alpha_D: 0.74 by Table 2, though Table 5's alpha_D of 0.095 gives 0.80 (papers.md A.11)."""
    exponent = record.derived["overfitting_exponent"]
    add_finding(record, "alpha_N / alpha_D", exponent, published=0.74, source="Kaplan et al. 2020, Eq 4.4")
    other = PUBLISHED["kaplan_params"].values["alpha"] / PUBLISHED["kaplan_tokens"].values["alpha"]
    add_finding(
        record, "alpha_N / alpha_D, the other reading", exponent, published=other, source="Kaplan et al. 2020, Table 5"
    )
    drawn = EIGHTFOLD ** draws["overfitting_exponent"]
    eightfold = Measured(EIGHTFOLD ** exponent["value"], drawn).as_json(options.level)
    source = "Kaplan et al. 2020, section 1.1"
    add_finding(record, "data that 8 times the size needs", eightfold, unit="times", published=5.0, source=source)


def _data_needed(result: FitResult, draws: dict[str, Array], options: FitOptions) -> list[dict[str, Any]]:
    """For each size the D below which limited data cost more than 2 %: Eq 4.4, solved exactly."""
    rows = []
    for params in np.unique(result.variables["N"]):
        value = float(tokens_for_relative_excess(params, EXCESS, result.parameters))
        drawn = tokens_for_relative_excess(params, EXCESS, draws)
        entry = Measured(value, drawn).as_json(options.level)
        rows.append({"params_non_embedding": float(params), "excess": EXCESS, **entry})
    return rows


def _overfitting(record: FitRecord, result: FitResult) -> dict[str, Any]:
    """dL of every run by Eq 4.2 and by Eq 4.3, into the points.

    L(N, inf) is the run on the most data, as in the paper, or the limit of the law where most is not ample.
    """
    params, tokens, law = result.variables["N"], result.variables["D"], result.parameters
    unlimited = np.array([_on_most_data(size, params, tokens, result.loss) for size in params])
    measured, expected = overfit_ratio(result.loss, unlimited), overfit_excess(params, tokens, law)
    abscissa = params ** (law["alpha_N"] / law["alpha_D"]) / tokens
    limit = overfit_ratio(result.loss, power(params, law["Nc"], law["alpha_N"]))
    record.points |= {
        "unlimited_loss": unlimited, "excess": measured, "excess_over_limit": limit, "excess_of_law": expected,
        "abscissa": abscissa,
    }  # fmt: skip
    limited = tokens < tokens.max()
    scatter = float(np.sqrt(np.mean((limit - expected)[limited] ** 2))) if limited.any() else None
    return {"largest": float(measured.max()), "scatter_about_law": scatter, "runs": int(limited.sum())}


def _on_most_data(size: float, params: Array, tokens: Array, loss: Array) -> float:
    own = params == size
    return float(loss[own & (tokens == tokens[own].max())].mean())


def _forms(result: FitResult) -> dict[str, Any]:
    """Eq 1.5 beside the symmetric form of the paper's footnote 4, which it rejects, by AICc."""
    forms: dict[str, Any] = {}
    for name in ("kaplan", "kaplan_symmetric"):
        law = LAWS[name]
        try:
            other = fit_law(law, result.variables, result.loss, Objective("squares"))
        except FitRefusedError as refusal:
            forms[name] = {"status": "refused", "reason": reason_of(refusal), "aicc": None}
        else:
            forms[name] = {"status": "ok", "reason": None} | gaussian_criteria(other.residuals, len(law.parameters))
    return forms

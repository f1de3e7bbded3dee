"""Which form to believe: information criteria, hold-out of the most expensive runs and expanding windows, side by side.

No criterion decides alone: AIC sees only the range that was measured, a hold-out only one step beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from scaling_lab.science.backtest import Mask, Prediction, backtest_law, most_expensive
from scaling_lab.science.bootstrap import BootstrapOptions
from scaling_lab.science.fitting import FitResult, Objective, fit_law, gaussian_criteria
from scaling_lab.science.laws import LAWS, Array, Law
from scaling_lab.science.projection import SEPARABLE, fit_projected, projected_starts
from scaling_lab.science.refusal import FitRefusedError

_DRAWS = BootstrapOptions(resamples=200, starts=2)


@dataclass(frozen=True)
class Form:
    """A law and the variables [n] it is fitted in: two forms may differ in either, e.g. in the count of N."""

    law: Law
    variables: Mapping[str, Array]


@dataclass(frozen=True)
class FormScore:
    """One form. Criteria are of least squares on log loss; weights sum to 1 over the forms that could be fitted."""

    name: str
    parameters: int
    fit: FitResult | None
    aic: float
    aicc: float
    akaike_weight: float
    hold_out: Prediction | None
    windows: tuple[Prediction, ...]
    refusal: FitRefusedError | None  # of the fit to all runs
    hold_out_refusal: FitRefusedError | None

    @property
    def window_error(self) -> float:
        """Mean absolute log error over the expanding windows, each window counting the same; NaN without any."""
        errors = [float(np.mean(np.abs(np.log1p(window.relative_error)))) for window in self.windows]
        return float(np.mean(errors)) if errors else float("nan")


def compare_forms(
    forms: Mapping[str, Form],
    loss: Array,
    flops: Array,
    objective: Objective | None = None,
    options: BootstrapOptions = _DRAWS,
    factor: float = 2.0,
) -> tuple[FormScore, ...]:
    """Score every form on the same runs [n], best corrected AIC first, refused forms last.

    factor: runs that cost more than the most expensive one divided by it are held out. objective: of the hold-out and
    the windows; the criteria need least squares.
    """
    chosen, held_out = objective or Objective(), most_expensive(flops, factor)
    scores = [_score(name, form, loss, flops, held_out, chosen, options) for name, form in forms.items()]
    aicc = np.array([score.aicc for score in scores])
    best = np.nanmin(aicc) if np.isfinite(aicc).any() else 0.0
    weights = np.where(np.isfinite(aicc), np.exp(-0.5 * (aicc - best)), 0.0)
    weights = weights / max(weights.sum(), 1e-300)
    order = np.argsort(np.where(np.isfinite(aicc), aicc, np.inf), kind="stable")
    return tuple(_weighted(scores[i], float(weights[i])) for i in order)


def expanding_windows(
    form: Form, loss: Array, flops: Array, objective: Objective, options: BootstrapOptions, steps: int = 4
) -> tuple[Prediction, ...]:
    """Fit to the runs below a budget, predict those up to `1 / steps` of the log range above it, for growing budgets.

    Windows in which the law is refused or nothing lies ahead are left out.
    """
    log_flops = np.log(flops)
    edges = np.linspace(np.quantile(log_flops, 0.4), log_flops.max(), steps + 1)
    predictions = []
    for low, high in pairwise(edges):
        ahead = (log_flops > low + 1e-9) & (log_flops <= high + 1e-9)
        known = log_flops <= low + 1e-9
        use = known | ahead
        if not ahead.any():
            continue
        variables = {name: form.variables[name][use] for name in form.law.variables}
        try:
            prediction = backtest_law(
                form.law, variables, loss[use], ahead[use], objective, options, _starts(form.law, variables, loss[use])
            )
        except FitRefusedError:
            continue
        predictions.append(prediction)
    return tuple(predictions)


def fit_form(form: Form, loss: Array, objective: Objective) -> FitResult:
    """Fit by variable projection where the law is separable, else from its grid. Raises FitRefusedError."""
    if _projectable(form.law):
        return fit_projected(form.law, form.variables, loss, objective)
    return fit_law(form.law, form.variables, loss, objective)


def _score(
    name: str,
    form: Form,
    loss: Array,
    flops: Array,
    held_out: Mask,
    objective: Objective,
    options: BootstrapOptions,
) -> FormScore:
    count = len(form.law.parameters)
    try:
        fit = fit_form(form, loss, objective)
        criteria = gaussian_criteria(fit_form(form, loss, Objective("squares")).residuals, count)
    except FitRefusedError as refusal:
        return FormScore(name, count, None, np.nan, np.nan, 0.0, None, (), refusal, None)
    hold_out, reason = None, None
    try:
        starts = _starts(form.law, form.variables, loss)
        hold_out = backtest_law(form.law, form.variables, loss, held_out, objective, options, starts)
    except FitRefusedError as refusal:
        reason = refusal
    windows = expanding_windows(form, loss, flops, objective, options)
    aicc = criteria.get("aicc", np.nan)
    return FormScore(name, count, fit, criteria["aic"], aicc, 0.0, hold_out, windows, None, reason)


def _weighted(score: FormScore, weight: float) -> FormScore:
    return replace(score, akaike_weight=weight)


def _projectable(law: Law) -> bool:
    return law.name in SEPARABLE and LAWS.get(law.name) is law


def _starts(law: Law, variables: Mapping[str, Array], loss: Array) -> Array | None:
    return projected_starts(variables, loss, law.name) if _projectable(law) else None


def best_by(scores: Sequence[FormScore], criterion: str) -> FormScore | None:
    """The form with the least `aicc`, `aic` or `window_error`; None where no form has one."""
    known = [score for score in scores if np.isfinite(getattr(score, criterion))]
    return min(known, key=lambda score: float(getattr(score, criterion))) if known else None

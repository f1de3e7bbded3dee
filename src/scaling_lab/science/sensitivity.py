"""How far an answer hangs on choices: Huber's delta, single runs, cheap runs, how N and FLOPs are counted.

Every variation is a named filter or option, and says how many runs it left out; nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.comparison import Form, fit_form
from scaling_lab.science.fitting import FitResult, Objective
from scaling_lab.science.influence import leave_one_out
from scaling_lab.science.laws import Array, Law
from scaling_lab.science.refusal import FitRefusedError

Name = TypeVar("Name", bound=str)
DELTAS = (1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Variation:
    """One choice changed: the refit, or why it is refused, and which runs took no part (indices)."""

    name: str
    choice: str
    left_out: NDArray[np.intp]
    fit: FitResult | None
    refusal: FitRefusedError | None

    def change(self, base: FitResult, quantity: str) -> float:
        """A derived quantity or parameter, less its value in `base`; NaN where refused."""
        if self.fit is None:
            return float("nan")
        return _value(self.fit, quantity) - _value(base, quantity)


def vary_objective(form: Form, loss: Array, deltas: tuple[float, ...] = DELTAS) -> tuple[Variation, ...]:
    """Huber with every delta, least absolute deviations and least squares (papers.md E.4)."""
    choices = {f"huber, delta {delta:g}": Objective("huber", delta) for delta in deltas}
    choices |= {"least absolute deviations": Objective("lad"), "least squares": Objective("squares")}
    everything = np.ones(len(loss), dtype=bool)
    return tuple(_vary("objective", name, form, loss, o, everything) for name, o in choices.items())


def vary_outliers(base: FitResult, counts: tuple[int, ...] = (1, 2, 5)) -> tuple[Variation, ...]:
    """Without the runs of largest residual, and without those that move the law most, `counts` of them each."""
    form, n = Form(base.law, base.variables), len(base.loss)
    by_residual = np.argsort(-np.abs(base.residuals), kind="stable")
    by_influence = leave_one_out(base).strongest(n)
    rankings = {"largest residuals": by_residual, "most influential": by_influence}
    return tuple(
        _vary("outliers", f"without the {k} {name}", form, base.loss, base.objective, _without(n, order[:k]))
        for name, order in rankings.items()
        for k in counts
        if k < n
    )


def vary_cheapest(base: FitResult, flops: Array, shares: tuple[float, ...] = (0.1, 0.2, 0.3)) -> tuple[Variation, ...]:
    """Without the cheapest share of the runs: a law that bends there is not the law of what follows."""
    form, rank = Form(base.law, base.variables), np.argsort(np.argsort(flops, kind="stable"), kind="stable")
    return tuple(
        _vary("cheapest runs", f"without the cheapest {s:.0%}", form, base.loss, base.objective, rank >= s * len(flops))
        for s in shares
    )


def vary_conventions(
    law: Law, conventions: Mapping[Name, Mapping[str, Array]], loss: Array, objective: Objective
) -> tuple[Variation, ...]:
    """The law in the variables of every named convention, e.g. N without embeddings or in total (papers.md E.7)."""
    everything = np.ones(len(loss), dtype=bool)
    return tuple(
        _vary("convention", name, Form(law, variables), loss, objective, everything)
        for name, variables in conventions.items()
    )


def vary_allocation(
    estimate: Callable[[Array], float], conventions: Mapping[Name, Array]
) -> dict[Name, float | FitRefusedError]:
    """An estimate of an array (e.g. a of IsoFLOP from FLOPs) under every named convention; refusals are kept."""
    answers: dict[Name, float | FitRefusedError] = {}
    for name, values in conventions.items():
        try:
            answers[name] = estimate(values)
        except FitRefusedError as refusal:
            answers[name] = refusal
    return answers


def _vary(name: str, choice: str, form: Form, loss: Array, objective: Objective, use: NDArray[np.bool_]) -> Variation:
    left_out = np.flatnonzero(~use)
    kept = Form(form.law, {key: form.variables[key][use] for key in form.law.variables})
    try:
        return Variation(name, choice, left_out, fit_form(kept, loss[use], objective), None)
    except FitRefusedError as refusal:
        return Variation(name, choice, left_out, None, refusal)


def _without(n: int, indices: NDArray[np.intp]) -> NDArray[np.bool_]:
    use = np.ones(n, dtype=bool)
    use[indices] = False
    return use


def _value(fit: FitResult, quantity: str) -> float:
    return (fit.parameters | fit.derived)[quantity]

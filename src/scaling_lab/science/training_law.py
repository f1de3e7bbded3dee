"""L(N, S_min) through points of training curves, whose steps the critical batch turns into those of a large batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.batch import steps_at_large_batch
from scaling_lab.science.bootstrap import BootstrapOptions, Draws, bootstrap_law
from scaling_lab.science.fitting import FitResult, Objective, fit_law
from scaling_lab.science.laws import LAWS, Array, critical_batch
from scaling_lab.science.refusal import FitRefusedError
from scaling_lab.science.training_curve import TrainingCurve

LAW = LAWS["kaplan_steps"]
POINTS = 20  # of a curve, equally spaced in log steps
CRITICAL_DRAWS = 20  # of B_crit, for each of which the law is fitted again

Critical = Callable[[Array], Array]
"""B_crit in tokens at losses in nats."""


@dataclass(frozen=True)
class TrainingPoints:
    """Points of all curves [n]: N, steps, tokens per step, loss, and the number of the run."""

    params: Array
    steps: Array
    batch: Array
    loss: Array
    run: NDArray[np.intp]

    def variables(self, critical: Critical | None) -> dict[str, Array]:
        """N and S_min = S / (1 + B_crit(L) / B) (Eq 5.4); S itself where no critical batch is known."""
        if critical is None:
            return {"N": self.params, "S": self.steps}
        return {"N": self.params, "S": np.asarray(steps_at_large_batch(self.steps, self.batch, critical(self.loss)))}


def drawn_critical(draws: Draws, index: int) -> Critical:
    """B_crit by one of the draws of B_star and alpha_B, which are gone through again and again."""
    star, alpha = (float(draws.values[name][index % draws.count]) for name in ("B_star", "alpha_B"))
    return lambda loss: np.asarray(critical_batch(loss, star, alpha))


def training_points(curves: Sequence[TrainingCurve], points: int = POINTS) -> TrainingPoints:
    """The points of the curves, thinned so that every run counts alike."""
    thin = [curve.thinned(points) for curve in curves]
    counts = [len(curve.steps) for curve in thin]
    return TrainingPoints(
        np.repeat([curve.params for curve in thin], counts),
        np.concatenate([curve.steps for curve in thin]),
        np.repeat([curve.batch for curve in thin], counts),
        np.concatenate([curve.loss for curve in thin]),
        np.repeat(np.arange(len(thin)), counts),
    )


def fit_training_law(
    points: TrainingPoints, critical: Critical | None, objective: Objective, starts: Array | None = None
) -> FitResult:
    """Fit L = (Nc / N)^alpha_N + (Sc / S_min)^alpha_S (Kaplan et al. 2020, Eq 1.6, 5.6). Raises FitRefusedError."""
    return fit_law(LAW, points.variables(critical), points.loss, objective, starts)


def bootstrap_training_law(
    points: TrainingPoints, result: FitResult, critical: Draws | None, options: BootstrapOptions
) -> Draws:
    """Draws of the law's parameters, runs resampled whole; with `critical`, also of the B_star and alpha_B behind each.

    The law is fitted again for some draws of the critical batch and resampled around each of those fits, so that the
    intervals hold both sources of doubt.
    """
    if critical is None:
        return bootstrap_law(result, options, points.run)
    pieces, failed = [], 0
    some = np.linspace(0, critical.count - 1, min(CRITICAL_DRAWS, critical.count)).astype(int)
    each = max(1, options.resamples // len(some))
    for index in some.tolist():
        try:
            again = fit_training_law(points, drawn_critical(critical, index), result.objective, result.theta[None])
        except FitRefusedError:
            failed += each
            continue
        draws = bootstrap_law(again, replace(options, resamples=each, seed=options.seed + index), points.run)
        failed += sum(draws.failed.values())
        of_batch = {name: np.full(draws.count, critical.values[name][index]) for name in ("B_star", "alpha_B")}
        pieces.append(draws.values | of_batch)
    names = (*LAW.parameter_names, *LAW.derived, "B_star", "alpha_B")
    values = {name: np.concatenate([piece[name] for piece in pieces] or [np.empty(0)]) for name in names}
    return Draws(values, each * len(some), {"refit_failed": failed})

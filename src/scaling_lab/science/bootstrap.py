"""Uncertainty of a fitted law by refitting it to resampled runs; all resamples advance together.

Runs are resampled whole, because the points of one run are not independent. Each refit starts at the estimate and at
a few points scattered around it along its weakly determined directions. A refit that fails is counted, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.departure import Departures, DepartureSize, departure_size, law_of_draws
from scaling_lab.science.descent import Problem, descend
from scaling_lab.science.fitting import FitResult, noise_free_objective
from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.resampling import BootstrapOptions, design_of, resample

__all__ = [
    "BootstrapOptions",
    "Draws",
    "Interval",
    "bootstrap_law",
    "exact_and_departing",
    "percentile_interval",
    "predictive_draws",
    "require_offset",
    "supports_offset",
]

_ITERATIONS = 200
_SCATTER = 3.0  # standard errors


@dataclass(frozen=True)
class Interval:
    """A central interval."""

    level: float
    low: float
    high: float


@dataclass(frozen=True)
class Draws:
    """Refitted parameters and derived quantities, one entry per successful resample, and how many failed and why.

    With a departure `values` also holds each draw's own, and `departure` what is believed of its standard deviation.
    """

    values: dict[str, Array]
    resamples: int
    failed: dict[str, int]
    departure: DepartureSize | None = None

    @property
    def count(self) -> int:
        """Number of successful resamples."""
        return len(next(iter(self.values.values()))) if self.values else 0

    def interval(self, name: str, level: float) -> Interval | None:
        """Percentile interval of a parameter or derived quantity; None without at least 20 draws."""
        return percentile_interval(self.values[name], level) if self.count >= 20 else None


def percentile_interval(values: Array, level: float) -> Interval:
    """Central percentile interval of draws."""
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(level, float(low), float(high))


def bootstrap_law(
    result: FitResult,
    options: BootstrapOptions,
    clusters: NDArray[np.generic] | None = None,
    strata: NDArray[np.generic] | None = None,
) -> Draws:
    """Refit `result.law` to resampled runs. Deterministic by `options.seed`.

    clusters, strata: labels [n]; points of one cluster (checkpoints of one run) are drawn together, within its stratum.
    """
    rng = np.random.default_rng(options.seed)
    design = design_of(len(result.loss), clusters, strata)
    kinked = result.objective.threshold < float(np.median(np.abs(result.residuals)))
    target, counts = resample(
        np.log(result.predicted), np.log(result.loss), result.leverage, design, options, rng, len(result.theta), kinked
    )
    departures = _departures(result, options)
    if departures is not None:
        target = target + departures.shifts(tuple(_logs(result).values()))
    theta, converged = _refit(result, options.starts, target, counts * result.weights, rng)
    reasons = {
        "degenerate_resample": _degenerate(result, counts),
        "not_converged": ~converged,
        "on_bound": _on_bound(result, theta),
    }
    keep, failed = np.ones(options.resamples, dtype=bool), {}
    for reason, rows in reasons.items():
        failed[reason] = int((rows & keep).sum())
        keep &= ~rows
    parameters = result.law.natural(theta[keep])
    values = parameters | result.law.derive(parameters)
    if departures is None:
        return Draws(values, options.resamples, failed)
    values |= {name: column[keep] for name, column in departures.columns.items()}
    return Draws(values, options.resamples, failed, departures.believed)


def exact_and_departing(draw: Callable[[BootstrapOptions], Draws], options: BootstrapOptions) -> tuple[Draws, Draws]:
    """Draws where the law is exact and where losses depart from it; the same ones without `options.departure`."""
    exact = draw(replace(options, departure=0.0))
    return exact, draw(options) if options.departure else exact


def _departures(result: FitResult, options: BootstrapOptions) -> Departures | None:
    """The resamples' own departures, of the size that the law's lack of fit lets expect; None where it is exact."""
    if not options.departure:
        return None
    logs = _logs(result)
    jacobian = result.law.log_prediction(result.theta[None, :], logs)[1][0].T
    size = departure_size(result.residuals, jacobian, np.column_stack(list(logs.values())), options.departure)
    return Departures.drawn(size, options.resamples, options.seed)


def _logs(result: FitResult) -> dict[str, Array]:
    """Logarithms of the variables, in the law's order."""
    return {name: np.log(result.variables[name]) for name in result.law.variables}


def _refit(
    result: FitResult, tried: int, target: Array, weights: Array, rng: np.random.Generator
) -> tuple[Array, NDArray[np.bool_]]:
    """The best of `tried` starts for every resample: theta [resamples, P] and whether it is stationary."""
    logs = {name: np.log(values) for name, values in result.variables.items()}
    problem = Problem(result.law, logs, result.objective.threshold)
    starts, count = _starts(result, tried, rng), len(target)
    found = descend(
        problem, np.tile(starts, (count, 1)), np.repeat(target, tried, 0), np.repeat(weights, tried, 0), _ITERATIONS
    )
    pick = np.arange(count) * tried + np.argmin(found.objective.reshape(count, tried), axis=1)
    noise_free = noise_free_objective(len(result.loss), result.objective.threshold)
    return found.theta[pick], found.converged(result.objective.refit_tolerance, noise_free)[pick]


def _starts(result: FitResult, count: int, rng: np.random.Generator) -> Array:
    """The estimate and `count - 1` points around it, drawn from its asymptotic distribution, widened."""
    values, vectors = np.linalg.eigh(result.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    scattered = result.theta + _SCATTER * rng.standard_normal((count - 1, len(result.theta))) @ root.T
    return np.asarray(np.clip(np.vstack([result.theta, scattered]), result.law.lower, result.law.upper))


def _degenerate(result: FitResult, weights: Array) -> Any:
    """Resamples in which some variable takes one value only or fewer points than parameters are left."""
    drawn = weights > 0
    rows = np.zeros(len(weights), dtype=bool)
    for values in result.variables.values():
        low = np.where(drawn, values, np.inf).min(axis=1)
        rows |= low == np.where(drawn, values, -np.inf).max(axis=1)
    points = np.unique(np.column_stack(list(result.variables.values())), axis=0, return_inverse=True)[1].ravel()
    distinct = sum((drawn[:, points == p].any(axis=1)).astype(int) for p in range(points.max() + 1))
    return rows | (distinct < len(result.theta))


def _on_bound(result: FitResult, theta: Array) -> Any:
    """Refits on a bound, where the law has lost a term; an offset of zero is a valid answer and is kept."""
    hit = (theta <= result.law.lower) | (theta >= result.law.upper)
    free = np.array([name != result.law.offset for name in result.law.parameter_names])
    return (hit & free).any(axis=1)


def supports_offset(result: FitResult, draws: Draws, level: float) -> bool:
    """Whether the interval of the irreducible loss excludes zero (taken as 0.1 % of the least loss)."""
    if result.law.offset is None:
        return True
    interval = draws.interval(result.law.offset, level)
    return interval is not None and interval.low > 1e-3 * float(result.loss.min())


def require_offset(result: FitResult, draws: Draws, level: float) -> None:
    """Raise FitRefusedError where the interval of the irreducible loss contains zero (papers.md E.23)."""
    if not supports_offset(result, draws, level):
        message = f"the {level:.0%} interval of {result.law.offset} contains 0; these runs do not identify it"
        raise FitRefusedError(RefusalCode.OFFSET_CONTAINS_ZERO, message)


def predictive_draws(
    result: FitResult, draws: Draws, variables: Mapping[str, Array], seed: int, noise: float | None = None
) -> Array:
    """Draws [draws, n] of the loss that a new run would show: parameter draws and the noise of one run.

    noise: standard deviation of log loss of a run; without it, the residuals of the fit, inflated for its parameters,
    are resampled.
    """
    rng = np.random.default_rng(seed)
    law = law_of_draws(result.law, draws.values)
    parameters = {name: draws.values[name][:, None] for name in law.parameter_names}
    mean = law.predict(parameters, {name: np.asarray(v)[None, :] for name, v in variables.items()})
    n = len(result.residuals)
    inflated = result.residuals * np.sqrt(n / max(n - len(result.theta), 1))
    errors = rng.choice(inflated, size=mean.shape) if noise is None else noise * rng.standard_normal(mean.shape)
    return np.asarray(mean * np.exp(errors))

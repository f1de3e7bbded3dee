"""A grid tried out before it is trained: simulated studies on drawn laws, fitted by the engine of the real one.

Each study has a law of its own, a smooth departure from it, and seeds; what is asked of it is the best size at the
target budget, against what was planted. Unlike the beliefs of `design`, nothing here is linearised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaling_lab.science.descent import Problem, descend
from scaling_lab.science.design import Cells, Noise, Target, departure_of_best
from scaling_lab.science.design_prior import LawPrior
from scaling_lab.science.laws import Array
from scaling_lab.science.objective import Objective, noise_free_objective
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.planner import wasted_compute

_DEPTH, _POINTS = 1e3, 61  # of the budgets that a wasted one is compared with
_ITERATIONS = 200


@dataclass(frozen=True)
class SimulatedStudies:
    """Losses [S, n] of a grid, study s on draw s of a prior; the best size of each, and its shift by the departure."""

    losses: Array
    log_best: Array
    shift: Array


@dataclass(frozen=True)
class Trials:
    """What simulated studies of one grid decided [S], NaN where the fit was refused.

    log_errors: log of the decided over the true best size; wasted_percent: share of the target budget that the decided
    size wastes.
    """

    log_errors: Array
    wasted_percent: Array

    @property
    def refused(self) -> int:
        """Studies whose law was refused."""
        return int(np.isnan(self.log_errors).sum())

    def factor(self, level: float = 0.9) -> float:
        """Within which factor of the true best size `level` of the studies decide; refused ones do not."""
        errors = np.where(np.isnan(self.log_errors), np.inf, np.abs(self.log_errors))
        return float(np.exp(np.quantile(errors, level, method="higher")))

    @property
    def mean_wasted_percent(self) -> float:
        """Mean over the studies that were fitted."""
        return float(np.nanmean(self.wasted_percent)) if self.refused < len(self.log_errors) else float("nan")


def simulate_studies(prior: LawPrior, target: Target, cells: Cells, noise: Noise, seed: int) -> SimulatedStudies:
    """One study of `cells` on every draw of the prior, with a departure and seeds of its own."""
    rng, places = np.random.default_rng(seed), cells.places
    own, with_cells = departure_of_best(prior, target, places, noise)
    among = noise.departures(places, places)
    fields = []
    for variance, covariance in zip(own, with_cells, strict=True):
        joint = np.block([[np.array([[variance]]), covariance[None]], [covariance[:, None], among]])
        values, vectors = np.linalg.eigh(joint)
        fields.append(vectors @ (np.sqrt(np.maximum(values, 0)) * rng.standard_normal(len(values))))
    shift, departure = np.array(fields)[:, 0], np.array(fields)[:, 1:]
    columns = {name: values[:, None] for name, values in prior.parameters.items()}
    exact = prior.law.predict(columns, {"N": cells.params, "D": cells.tokens})
    losses = exact * np.exp(departure + noise.seed * rng.standard_normal(exact.shape))
    return SimulatedStudies(losses, target.best(prior.law, prior.parameters) + shift, shift)


def try_grid(prior: LawPrior, target: Target, cells: Cells, noise: Noise, seed: int) -> Trials:
    """Simulate a study of a grid on every draw of the prior, fit all of them at once, and compare their decisions.

    Every fit starts at the law that was planted, which spares the search for the basin: of a real study it is done.
    """
    studies, objective = simulate_studies(prior, target, cells, noise, seed), Objective()
    logs = dict(zip(("N", "D"), cells.places.T, strict=True))
    problem, ones = Problem(prior.law, logs, objective.threshold), np.ones(len(cells))
    found = descend(problem, prior.theta, np.log(studies.losses), ones, _ITERATIONS)
    good = found.converged(objective.refit_tolerance, noise_free_objective(len(cells), objective.threshold))
    good &= np.all((found.theta > prior.law.lower) & (found.theta < prior.law.upper), axis=1)
    decided = target.best(prior.law, prior.law.natural(np.where(good[:, None], found.theta, prior.theta)))
    wasted = wasted_percent(prior, target, decided - studies.shift)
    return Trials(np.where(good, decided - studies.log_best, np.nan), np.where(good, wasted, np.nan))


def wasted_percent(prior: LawPrior, target: Target, log_params: Array) -> Array:
    """Share of the target budget, per cent, that size k wastes on law k [K]."""
    budgets = target.flops * np.geomspace(1 / _DEPTH, 1, _POINTS)
    columns = {name: values[:, None] for name, values in prior.parameters.items()}
    frontier = numerical_optimum(columns, budgets, target.cost, target.params_range, prior.law.function).loss
    reached = np.exp(target.log_loss(prior.law, prior.parameters, log_params))
    pairs = zip(np.maximum(reached, frontier[:, -1]), frontier, strict=True)
    return np.array([float(wasted_compute(np.array([loss]), edge, budgets)[0]) for loss, edge in pairs])

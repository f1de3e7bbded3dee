"""Which runs tell most about the best size at a target budget: Gaussian beliefs, and a greedy choice under a budget.

Around a law the logarithm of N* at the target and the log loss of every run that could be trained are jointly Gaussian,
so what a run would teach is known before its loss is (Bayesian c-optimality; Chaloner and Verdinelli 1995). A run shows
the law, a smooth departure from it that neighbouring runs share, and the noise of its seed: thousands of cheap runs
average out the last alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.science.departure import DEPARTURE, LENGTH, correlation
from scaling_lab.science.design_prior import LawPrior
from scaling_lab.science.laws import Array, Law
from scaling_lab.science.optimum import numerical_optimum

SEED_NOISE = 0.004  # of log loss, where nothing was measured
GREEDINESS = (0.25, 0.5, 1.0)  # powers of the cost that a gain is divided by
MOST_RUNS = 60
_WIDE, _LEAST_WIDE = 5.0, 0.3  # standard deviations before any run: of what is fitted in its logarithm, and of others
_NEGLIGIBLE = 1e-3  # of log variance: a run that teaches less is not worth its place
_STEP = 1e-3  # of theta
_BEND = 0.05  # of log N


@dataclass(frozen=True)
class Target:
    """The decision: N* of `flops`, where D = flops / cost(N) and N lies in `params_range`."""

    flops: float
    cost: Callable[[Array], Array]
    params_range: tuple[float, float]

    def best(self, law: Law, parameters: Mapping[str, Array]) -> Array:
        """log N* of every draw [K]."""
        found = numerical_optimum(parameters, self.flops, self.cost, self.params_range, law.function)
        return np.log(found.params)

    def log_loss(self, law: Law, parameters: Mapping[str, Array], log_params: Array) -> Array:
        """log of the loss that the budget buys with models of exp(log_params) parameters."""
        size = np.exp(log_params)
        return np.log(law.predict(parameters, {"N": size, "D": self.flops / self.cost(size)}))

    def curvature(self, law: Law, parameters: Mapping[str, Array], log_params: Array) -> Array:
        """Second derivative of `log_loss` in log N [K]."""
        values = [self.log_loss(law, parameters, log_params + step) for step in (-_BEND, 0.0, _BEND)]
        return np.asarray((values[0] - 2 * values[1] + values[2]) / _BEND**2)

    def elasticity(self, log_params: Array) -> Array:
        """d log cost / d log N."""
        up, down = (np.log(self.cost(np.exp(log_params + sign * _BEND))) for sign in (1, -1))
        return np.asarray((up - down) / (2 * _BEND))


@dataclass(frozen=True)
class Noise:
    """Standard deviations of log loss: `seed` of a run, `misfit` of the smooth departure from the law.

    The departure is a Gaussian field over log N and log D; it also moves the best size away from the law's.
    """

    seed: float = SEED_NOISE
    misfit: float = DEPARTURE

    def departures(self, places: Array, others: Array) -> Array:
        """Covariance [..., n, m] of the departures at `places` [..., n, 2] and `others` [m, 2], log N and log D."""
        return self.misfit**2 * correlation(places, others)


@dataclass(frozen=True)
class Cells:
    """Runs that could be trained [n]: parameters, tokens and training FLOPs."""

    params: Array
    tokens: Array
    flops: Array

    def __len__(self) -> int:
        return len(self.params)

    def take(self, rows: Any) -> Cells:
        """Some of them, by their indices or a mask."""
        return Cells(self.params[rows], self.tokens[rows], self.flops[rows])

    @property
    def places(self) -> Array:
        """log N and log D [n, 2]."""
        return np.column_stack([np.log(self.params), np.log(self.tokens)])


@dataclass
class Beliefs:
    """What is believed of log N* and of the log losses of n cells, by K laws, updated by every run that is chosen.

    decision [K]: variance of log N*; shared [K, n]: its covariance with each log loss; losses [K, n, n]: covariance of
    the log losses; noise: variance that every run adds of its own.
    """

    decision: Array
    shared: Array
    losses: Array
    noise: float

    def gains(self) -> Array:
        """By how much each cell, if run, would lower the logarithm of the decision's variance: mean of the laws [n]."""
        spread = np.einsum("knn->kn", self.losses) + self.noise
        explained = self.shared**2 / spread / self.decision[:, None]
        return np.asarray(-np.log1p(-np.clip(explained, 0, 1 - 1e-12)).mean(axis=0))

    def observe(self, cell: int) -> None:
        """Learn the loss of a cell, whatever it will be."""
        column = self.losses[:, :, cell].copy()
        spread = column[:, cell] + self.noise
        pull = self.shared[:, cell] / spread
        self.decision = self.decision - pull * self.shared[:, cell]
        self.shared = self.shared - pull[:, None] * column
        self.losses = self.losses - column[:, :, None] * (column / spread[:, None])[:, None, :]

    def copy(self) -> Beliefs:
        """The same beliefs, to be updated apart."""
        return Beliefs(self.decision, self.shared, self.losses, self.noise)


def prior_beliefs(prior: LawPrior, target: Target, cells: Cells, noise: Noise) -> Beliefs:
    """Beliefs before any run, linearised around each draw of the prior, with next to nothing known of its parameters.

    Almost no information is put in, so that what is left after the chosen runs is what a fit to them will leave.
    """
    theta, places = prior.theta, cells.places
    jacobian = prior.law.log_prediction(theta, {"N": places[:, 0], "D": places[:, 1]})[1]
    scale = np.where([p.log for p in prior.law.parameters], _WIDE, np.maximum(np.abs(theta), _LEAST_WIDE))
    jacobian, gradient = jacobian * scale[:, :, None], decision_gradient(prior, target) * scale
    own, with_cells = departure_of_best(prior, target, places, noise)
    return Beliefs(
        decision=np.sum(gradient**2, axis=1) + own,
        shared=np.einsum("kp,kpn->kn", gradient, jacobian) + with_cells,
        losses=np.einsum("kpn,kpm->knm", jacobian, jacobian) + noise.departures(places, places),
        noise=noise.seed**2,
    )


def departure_of_best(prior: LawPrior, target: Target, places: Array, noise: Noise) -> tuple[Array, Array]:
    """How far log N* lies from the law's because the loss departs from it: variance [K], and covariance [K, n] with the
    departures at `places` [n, 2].

    To first order the shift is the slope of the departure along the budget over the curvature of the log loss.
    """
    best = target.best(prior.law, prior.parameters)
    bend, slope = target.curvature(prior.law, prior.parameters, best), target.elasticity(best)
    at = np.column_stack([best, np.log(target.flops / target.cost(np.exp(best)))])
    apart = (places - at[:, None]) / LENGTH**2
    near = noise.departures(at[:, None], places)[:, 0]
    covariance = -near * (apart[:, :, 0] - slope[:, None] * apart[:, :, 1]) / bend[:, None]
    variance = (noise.misfit / LENGTH / bend) ** 2 * (1 + slope**2)
    return np.asarray(variance), np.asarray(covariance)


def posterior_beliefs(
    prior: LawPrior, estimate: LawPrior, target: Target, runs: Array, cells: Cells, noise: Noise
) -> Beliefs:
    """Beliefs after `runs` [m, 2], log N and log D, were fitted: of one law, by the draws `prior` of its parameters.

    estimate: the law as it was fitted, a prior of one draw. What the runs have shown of the departure from the law is
    taken off as well.
    """
    best = target.best(prior.law, prior.parameters)
    columns = {name: values[:, None] for name, values in prior.parameters.items()}
    losses = np.log(prior.law.predict(columns, {"N": cells.params, "D": cells.tokens}))
    centred, about, count = losses - losses.mean(axis=0), best - best.mean(), max(len(best) - 1, 1)
    left = _departure_after(estimate, target, runs, cells.places, noise)
    return Beliefs(
        decision=np.array([np.sum(about**2) / count]) + left.decision,
        shared=(about @ centred / count)[None] + left.shared,
        losses=(centred.T @ centred / count)[None] + left.losses,
        noise=noise.seed**2,
    )


def _departure_after(estimate: LawPrior, target: Target, runs: Array, places: Array, noise: Noise) -> Beliefs:
    """Beliefs about the departure alone, at `places` and of log N*, after `runs`."""
    every, done = np.vstack([runs, places]), len(runs)
    own, shared = departure_of_best(estimate, target, every, noise)
    beliefs = Beliefs(own, shared, noise.departures(every, every)[None], noise.seed**2)
    for run in range(done):
        beliefs.observe(run)
    return Beliefs(beliefs.decision, beliefs.shared[:, done:], beliefs.losses[:, done:, done:], beliefs.noise)


def decision_gradient(prior: LawPrior, target: Target) -> Array:
    """d log N* / d theta of every draw [K, P], by central differences."""
    theta = prior.theta
    columns = []
    for j in range(theta.shape[1]):
        moved = [theta + sign * _STEP * np.eye(theta.shape[1])[j] for sign in (1, -1)]
        up, down = (target.best(prior.law, prior.law.natural(values)) for values in moved)
        columns.append((up - down) / (2 * _STEP))
    return np.column_stack(columns)


@dataclass(frozen=True)
class Choice:
    """Cells in the order in which they were chosen, what each cost and taught, and the variance left of log N*."""

    cells: list[int]
    gains: list[float]
    variance: float  # geometric mean over the laws

    @property
    def width(self) -> float:
        """90 % of what is believed of N* lies within this factor, up or down."""
        return width_of(self.variance)


def choose_cells(beliefs: Beliefs, flops: Array, budget: float, most_runs: int = MOST_RUNS) -> Choice:
    """The cells that leave log N* most certain, at a total of at most `budget` FLOPs and `most_runs` runs.

    Greedy by gain over cost^p, for several p, of which the best is kept: p = 1 alone buys the cheapest cells until no
    run is left.
    """
    tried = [_greedy(beliefs.copy(), flops, budget, most_runs, power) for power in GREEDINESS]
    return min(tried, key=lambda choice: choice.variance)


def _greedy(beliefs: Beliefs, flops: Array, budget: float, most_runs: int, power: float) -> Choice:
    left, chosen, gains = budget, list[int](), list[float]()
    while len(chosen) < min(most_runs, len(flops)):
        gain = beliefs.gains()
        gain[chosen] = 0.0
        gain[flops > left] = 0.0
        cell = int(np.argmax(gain / (flops / flops.max()) ** power))
        if gain[cell] < _NEGLIGIBLE:
            break
        beliefs.observe(cell)
        chosen.append(cell)
        gains.append(float(gain[cell]))
        left -= float(flops[cell])
    return Choice(chosen, gains, float(np.exp(np.log(beliefs.decision).mean())))


def width_of(variance: float) -> float:
    """The factor, up or down, within which 90 % of a log-normal N* lies, from the variance of its logarithm."""
    return float(np.exp(1.645 * np.sqrt(variance)))

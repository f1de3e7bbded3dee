"""How far losses depart smoothly from their law: a random field over the law's variables that neighbouring runs share.

No law is exact (model discrepancy; Kennedy and O'Hagan 2001). The departure is a Gaussian field of log loss with one
standard deviation and one correlation length. Residuals show only the part of it that no change of the law's parameters
could explain, so a bootstrap of residuals misses the rest, and all of it where no run was trained: fields drawn beside
the residuals have both. What the runs' lack of fit says of the standard deviation corrects what was stated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from scaling_lab.science.laws import Array, Law, Parameter

DEPARTURE = 0.01  # standard deviation of log loss, where no run says otherwise (benchmarks/design)
LENGTH = float(np.log(10))  # how far apart in the logarithm of a variable two runs share no departure
COLUMNS = ("departure", "field")  # of draws: the standard deviation, and which field
_WAVES = 16  # of a field: enough that its values are Gaussian
_FIELDS_PER_SEED = 10**6
_SPREAD = float(np.log(2))  # standard deviation of the log of what is stated
_SIZES, _NOISES = 33, 41  # points of the grids over the standard deviations of departure and noise
_EXACT = 1e-12  # of log loss: noise below it is rounding
_MOST_RUNS = 400  # that the standard deviation is estimated from


def correlation(places: Array, others: Array) -> Array:
    """Correlation [..., n, m] of the departures at `places` [..., n, V] and `others` [m, V], logs of the variables."""
    apart = (places[..., :, None, :] - others) / LENGTH
    return np.asarray(np.exp(-np.sum(apart**2, axis=-1) / 2))


def field_numbers(count: int, seed: int) -> Array:
    """Names of `count` fields, others for every seed."""
    return np.arange(count, dtype=np.float64) + seed * _FIELDS_PER_SEED


def field_values(numbers: Array, logs: Sequence[Any]) -> Array:
    """Values of fields, standard deviation 1, where the variables have these logarithms; everything broadcasts.

    A field is a sum of random waves (Rahimi and Recht 2007), so that the runs that were trained and a decision far from
    them see one and the same.
    """
    waves, phases = _waves(np.ascontiguousarray(numbers).tobytes(), len(logs))
    shape = (*np.shape(numbers), _WAVES)
    phase = phases.reshape(shape)
    for variable, values in enumerate(logs):
        places = np.asarray(values, dtype=phase.dtype)[..., None]
        phase = phase + places * waves[:, :, variable].reshape(shape)
    return np.asarray(np.sqrt(2 / _WAVES) * np.cos(phase, out=phase).sum(axis=-1, dtype=np.float64))


@lru_cache(maxsize=8)
def _waves(numbers: bytes, variables: int) -> tuple[Array, Array]:
    """Wave vectors [K, M, V], radians per unit of a logarithm, and phases [K, M] of the fields with these numbers.

    Single precision: phases are good to 1e-5, and their cosines, millions in a plan, three times as fast.
    """
    streams = [np.random.default_rng(int(number)) for number in np.frombuffer(numbers)]
    phases = np.array([stream.uniform(0, 2 * np.pi, _WAVES) for stream in streams])
    waves = np.array([stream.standard_normal((_WAVES, variables)) for stream in streams]) / LENGTH
    return waves.astype(np.float32), phases.astype(np.float32)


def departed(law: Law) -> Law:
    """The law without a field: losses as a draw believes them to be whose refit that field misled.

    Of its parameters the last two, `COLUMNS`, are drawn, never fitted.
    """

    def function(*given: Any, departure: Any, field: Any, **named: Any) -> Any:
        values = dict(zip(law.variables, given, strict=False)) | named
        logs = [np.log(values[name]) for name in law.variables]
        return law.function(**values) * np.exp(-departure * field_values(field, logs))

    drawn = tuple(Parameter(name, "drawn", False, (0.0, np.inf), (0.0,)) for name in COLUMNS)
    return replace(law, parameters=(*law.parameters, *drawn), function=function, log_form=None)


def law_of_draws(law: Law, draws: Mapping[str, Any]) -> Law:
    """The law that draws are parameters of: with a departure where they hold one."""
    return departed(law) if COLUMNS[0] in draws else law


@dataclass(frozen=True)
class DepartureSize:
    """What is believed of the standard deviation of the departure: weights of a grid of values."""

    sizes: Array
    weights: Array

    def quantile(self, share: float) -> float:
        """Below which it lies with probability `share`."""
        return float(np.exp(np.interp(share, np.cumsum(self.weights) - self.weights / 2, np.log(self.sizes))))

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """Values that differ by what is not known of it [count]."""
        return rng.choice(self.sizes, size=count, p=self.weights)


def stated_size(stated: float) -> DepartureSize:
    """What is believed before any run says otherwise: `stated`, known within a factor 2 or so."""
    weights = np.exp(-0.5 * (np.log(_sizes_around(stated) / stated) / _SPREAD) ** 2)
    return DepartureSize(_sizes_around(stated), weights / weights.sum())


def departure_size(residuals: Array, jacobian: Array, places: Array, stated: float) -> DepartureSize:
    """Standard deviation of the departure: `stated_size`, corrected by residuals [n].

    jacobian [n, P]: of the log prediction; places [n, V]: logs of the variables. Restricted likelihood of field plus
    white noise, of unknown size, in what the law's parameters cannot explain (Patterson and Thompson 1971).
    """
    if len(residuals) > _MOST_RUNS:
        some = np.linspace(0, len(residuals) - 1, _MOST_RUNS).round().astype(int)
        residuals, jacobian, places = residuals[some], jacobian[some], places[some]
    unexplained = np.linalg.qr(jacobian, mode="complete")[0][:, jacobian.shape[1] :]
    shared, turned = np.linalg.eigh(unexplained.T @ correlation(places, places) @ unexplained)
    seen = (turned.T @ unexplained.T @ residuals) ** 2
    sizes = _sizes_around(stated)
    noises = max(np.sqrt(np.mean(seen)), _EXACT) * np.geomspace(1 / 30, 3, _NOISES)
    variance = sizes[:, None, None] ** 2 * np.maximum(shared, 0) + noises[:, None] ** 2
    log_weight = -0.5 * np.sum(np.log(variance) + seen / variance, axis=-1)
    log_weight -= 0.5 * (np.log(sizes / stated) / _SPREAD)[:, None] ** 2
    weights = np.exp(log_weight - log_weight.max()).sum(axis=1)
    return DepartureSize(sizes, weights / weights.sum())


def _sizes_around(stated: float) -> Array:
    return np.asarray(stated * np.exp(np.linspace(-4, 4, _SIZES) * _SPREAD))


@dataclass(frozen=True)
class Departures:
    """The departure of every resample [K], a size and a field of its own, and what is believed of the size."""

    believed: DepartureSize
    sizes: Array
    fields: Array

    @classmethod
    def drawn(cls, believed: DepartureSize, count: int, seed: int) -> Departures:
        """Of `count` resamples. Their random numbers are their own: the rest of a resample is the same without them."""
        sizes = believed.draw(count, np.random.default_rng([seed, 1]))
        return cls(believed, sizes, field_numbers(count, seed))

    def shifts(self, logs: Sequence[Array], rows: slice = slice(None)) -> Array:
        """By how much the log losses of runs, at these logarithms [n] of the variables, move in resamples [rows, n]."""
        return self.sizes[rows, None] * field_values(self.fields[rows, None], logs)

    @property
    def columns(self) -> dict[str, Array]:
        """Each resample's departure, beside its parameters."""
        return dict(zip(COLUMNS, (self.sizes, self.fields), strict=True))

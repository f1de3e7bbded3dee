"""Resampled studies: which runs count how often, and what loss they show. Whole clusters, never single points of one.

A cluster is what is independent of the rest: a run with all its checkpoints, or all horizons of one trunk. Strata are
the cells of a design that a new study would contain again, such as the sizes of a grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.laws import Array

Groups = NDArray[np.intp]
Method = Literal["auto", "runs", "residuals", "wild", "noise"]

SMALL_DESIGN = 100
FEW_CLUSTERS = 12  # below this, signs alone give too few different studies, and Webb's six values are drawn
_SMOOTHING = 0.5
_WEBB = np.sqrt(np.array([0.5, 1.0, 1.5]))


@dataclass(frozen=True)
class Design:
    """Cluster and stratum of every run [n], numbered from 0."""

    clusters: Groups
    strata: Groups  # of the clusters [G]

    @property
    def count(self) -> int:
        """Number of clusters."""
        return len(self.strata)


@dataclass(frozen=True)
class BootstrapOptions:
    """How to resample.

    method: "runs" draws clusters with replacement; "residuals" draws residuals for the fixed design; "wild" flips the
    residuals of a cluster together (small designs, noise that differs between runs); "noise" draws from the known seed
    noise; "auto" is wild below 100 clusters, where drawing runs was measured to be too wide (benchmarks/coverage), else
    runs. noise: standard deviation of log loss known from seeds, added to every run by the other methods. level: of the
    intervals. starts: of every refit, the estimate and points scattered around it. departure: standard deviation of log
    loss by which losses are believed to depart smoothly from the law, corrected by the runs (`departure.py`); 0 takes
    the law for exact.
    """

    resamples: int = 500
    level: float = 0.9
    seed: int = 0
    method: Method = "auto"
    noise: float = 0.0
    starts: int = 4
    departure: float = 0.0

    def method_for(self, design: Design) -> Method:
        """The method that "auto" stands for."""
        return self.method if self.method != "auto" else "wild" if design.count < SMALL_DESIGN else "runs"


def design_of(points: int, clusters: NDArray[np.generic] | None, strata: NDArray[np.generic] | None) -> Design:
    """Number clusters and strata given as labels of any kind [n]; by default every run is a cluster of one stratum.

    Strata of a single cluster have nothing to draw from and are joined. Raises ValueError for a cluster in two strata.
    """
    groups = np.arange(points) if clusters is None else np.unique(clusters, return_inverse=True)[1].ravel()
    layers = np.zeros(points, dtype=np.intp) if strata is None else np.unique(strata, return_inverse=True)[1].ravel()
    first = np.unique(groups, return_index=True)[1]
    if np.any(layers != layers[first][groups]):
        raise ValueError("a cluster lies in two strata; all points of a run belong to one")
    of_cluster = layers[first]
    single = np.bincount(of_cluster)[of_cluster] == 1
    return Design(groups, np.where(single, of_cluster.max() + 1, of_cluster))


def cluster_counts(design: Design, resamples: int, rng: np.random.Generator) -> Array:
    """How often each run counts [resamples, n]: clusters drawn with replacement within their strata.

    Of a stratum's m clusters m - 1 are drawn and count m / (m - 1) times, so that the variance of a total is unbiased
    in strata of any size (Rao and Wu 1988); drawing m of m would understate it by (m - 1) / m.
    """
    counts = np.zeros((resamples, design.count))
    for stratum in np.unique(design.strata):
        members = np.flatnonzero(design.strata == stratum)
        m = len(members)
        drawn = rng.multinomial(max(m - 1, 1), np.full(m, 1 / m), size=resamples)
        counts[:, members] = drawn * (m / max(m - 1, 1))
    return np.asarray(counts[:, design.clusters])


def wild_multipliers(design: Design, resamples: int, rng: np.random.Generator) -> Array:
    """Random factors of the residuals [resamples, n], one per cluster: signs, or Webb's six values for few clusters.

    Signs keep the density of the residuals at 0, on which the spread of a near-LAD fit depends (Feng, He and Hu 2011);
    with few clusters there are too few sign patterns (Webb 2013).
    """
    shape = (resamples, design.count)
    signs = rng.choice(np.array([-1.0, 1.0]), size=shape)
    sizes = rng.choice(_WEBB, size=shape) if design.count < FEW_CLUSTERS else np.ones(shape)
    return np.asarray((signs * sizes)[:, design.clusters])


def resample(
    log_predicted: Array,
    log_loss: Array,
    leverage: Array,
    design: Design,
    options: BootstrapOptions,
    rng: np.random.Generator,
    parameters: int,
    kinked: bool,
) -> tuple[Array, Array]:
    """Log losses and counts [resamples, n] of new studies. Residuals are raised by 1 / sqrt(1 - leverage) (HC2).

    kinked: the objective is nearly LAD, whose fit runs through as many points as it has parameters. Those residuals of
    zero would make new fits look too sure, so residuals are smoothed with half their scale, at the same variance.
    """
    shape = (options.resamples, len(log_loss))
    counts: Array = np.ones(shape)
    method = options.method_for(design)
    if method == "noise":
        return log_predicted + options.noise * rng.standard_normal(shape), counts
    if method == "runs":
        counts, target = cluster_counts(design, options.resamples, rng), np.tile(log_loss, (options.resamples, 1))
    else:
        residuals = (log_loss - log_predicted) / np.sqrt(1 - np.minimum(leverage, 0.95))
        errors = _errors(residuals, parameters, design, options, kinked, rng)
        freedom = max(design.count - parameters, 1)
        unsure = np.sqrt(freedom / rng.chisquare(freedom, options.resamples))
        target = log_predicted + errors * unsure[:, None]
    return target + options.noise * rng.standard_normal(shape), counts


def _errors(
    residuals: Array,
    parameters: int,
    design: Design,
    options: BootstrapOptions,
    kinked: bool,
    rng: np.random.Generator,
) -> Array:
    """New errors [resamples, n] from residuals, by the wild or the residual bootstrap."""
    shape = (options.resamples, len(residuals))
    order = np.argsort(np.abs(residuals))
    pool = residuals[order[parameters:]] if kinked else residuals
    if options.method_for(design) == "wild":
        sizes = np.tile(residuals, (options.resamples, 1))
        if kinked:
            through = order[:parameters]
            sizes[:, through] = rng.choice(pool, size=(options.resamples, len(through)))
        errors = sizes * wild_multipliers(design, options.resamples, rng)
    else:
        errors = rng.choice(pool - pool.mean(), size=shape)
    if not kinked:
        return np.asarray(errors)
    width = _SMOOTHING * 1.4826 * float(np.median(np.abs(pool)))
    smooth = width * rng.standard_normal((options.resamples, design.count))[:, design.clusters]
    return np.asarray((errors + smooth) / np.sqrt(1 + _SMOOTHING**2))

"""IsoFLOP profiles of runs that were not trained at equal cost: every size's loss is interpolated at the budgets.

So one table of runs can be read at equal cost by any count of FLOPs, and horizons can be read as profiles (Porian et
al. 2024, section 2).
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from scaling_lab.science.grouping import SAME, groups_of
from scaling_lab.science.isoflop import MINIMUM_SIZES, Profile, TokenCost, fit_profile
from scaling_lab.science.laws import Array
from scaling_lab.science.runs import Runs

_SEARCHED = 200  # costs that are looked at for their sizes


def interpolated_profiles(runs: Runs, budgets: Array, cost: TokenCost) -> list[Profile]:
    """A profile at every budget that lies within the costs of at least four sizes, in the order of `budgets` [k].

    The logarithm of a size's loss is interpolated in the logarithm of its cost, monotonically, and never beyond its
    cheapest and most expensive run; runs of equal cost are averaged.
    """
    sizes = np.unique(runs.params)
    losses = np.array([_losses(runs, size, budgets) for size in sizes]).reshape(len(sizes), len(budgets))
    found = []
    for column, flops in enumerate(budgets):
        reached = np.isfinite(losses[:, column])
        if reached.sum() >= MINIMUM_SIZES:
            found.append(fit_profile(float(flops), sizes[reached], losses[reached, column], cost))
    return found


def reachable_budgets(runs: Runs, count: int) -> Array:
    """`count` budgets, spread over those that four sizes were trained for, from the least to the most; or none."""
    grid = np.geomspace(runs.flops.min(), runs.flops.max(), _SEARCHED)
    sizes = np.unique(runs.params)
    reached = np.sum([np.isfinite(_losses(runs, size, grid)) for size in sizes], axis=0) >= MINIMUM_SIZES
    within = grid[reached]
    if len(within) < count:
        return np.empty(0)
    return np.asarray(within[np.linspace(0, len(within) - 1, count).round().astype(int)])


def _losses(runs: Runs, size: float, budgets: Array) -> Array:
    """Loss of a size [k] at the budgets; NaN where it was not trained."""
    own = runs.params == size
    log_c, log_l = np.log(runs.flops[own]), np.log(runs.loss[own])
    groups = groups_of(runs.flops[own])
    x = np.array([log_c[groups == group].mean() for group in np.unique(groups)])
    y = np.array([log_l[groups == group].mean() for group in np.unique(groups)])
    order, wanted = np.argsort(x), np.log(budgets)
    x, y = x[order], y[order]
    slack = np.log(SAME)  # a run within the tolerance of a budget stands for it
    outside = (wanted < x[0] - slack) | (wanted > x[-1] + slack)
    inside = np.clip(wanted, x[0], x[-1])
    values = PchipInterpolator(x, y)(inside) if len(x) > 1 else np.full(len(wanted), y[0])
    return np.where(outside, np.nan, np.exp(values))

"""L(C): the best loss at each cost. The runs that no cheaper run beats, and the power laws through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.bootstrap import BootstrapOptions, Draws
from scaling_lab.science.descent import Problem, descend
from scaling_lab.science.fitting import FitResult, Objective, fit_law, noise_free_objective
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

MINIMUM_MEMBERS = 4


@dataclass(frozen=True)
class Envelope:
    """The power law L(C) through the members, and N_opt = coefficient C^exponent on them."""

    members: NDArray[np.intp]
    law: FitResult
    params_exponent: float
    params_coefficient: float


def lower_envelope(flops: Array, loss: Array, groups: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
    """Indices, by increasing FLOPs, of the runs with a lower loss than every run that costs as much or less.

    Runs of one budget cost the same but for whole steps, so they compete as one cost (`groups_of`). groups: the number
    of each run's cost [n], cheapest first, where it is known.
    """
    order = np.lexsort((loss, groups_of(flops) if groups is None else groups))
    best = np.minimum.accumulate(np.concatenate([[np.inf], loss[order][:-1]]))
    return order[loss[order] < best]


def fit_envelope(flops: Array, loss: Array, params: Array, objective: Objective) -> Envelope:
    """Fit L = (Cc / C)^alpha and N_opt to the lower envelope of runs [n]. Raises FitRefusedError below four members."""
    members = lower_envelope(flops, loss)
    if len(members) < MINIMUM_MEMBERS:
        message = f"{len(members)} runs on the lower envelope; at least {MINIMUM_MEMBERS} are needed"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    law = fit_law(LAWS["power"], {"X": flops[members]}, loss[members], objective)
    exponent, coefficient = fit_power_line(flops[members], params[members])
    return Envelope(members, law, float(exponent), float(coefficient))


def bootstrap_envelope(
    envelope: Envelope, flops: Array, loss: Array, params: Array, options: BootstrapOptions
) -> Draws:
    """Resample all runs, find each resample's envelope, refit both laws. Fewer than three members is a failure."""
    rng = np.random.default_rng(options.seed)
    n, count, groups = len(flops), options.resamples, groups_of(flops)
    weights, noisy = np.zeros((count, n)), np.tile(np.log(loss), (count, 1))
    noisy += options.noise * rng.standard_normal((count, n))
    for row in range(count):
        drawn = np.unique(rng.integers(0, n, n))
        weights[row, drawn[lower_envelope(flops[drawn], noisy[row, drawn], groups[drawn])]] = 1.0
    enough = weights.sum(axis=1) >= 3
    weights, noisy = weights[enough], noisy[enough]
    law = envelope.law
    problem = Problem(law.law, {"X": np.log(flops)}, law.objective.threshold)
    found = descend(problem, np.tile(law.theta, (len(weights), 1)), noisy, weights, 200)
    good = found.converged(law.objective.refit_tolerance, noise_free_objective(n, law.objective.threshold))
    parameters = law.law.natural(found.theta[good])
    exponent, coefficient = fit_power_line(flops, np.broadcast_to(params, weights.shape), weights)
    values = parameters | law.law.derive(parameters)
    values |= {"params_exponent": exponent[good], "params_coefficient": coefficient[good]}
    failed = {"too_few_members": int((~enough).sum()), "not_converged": int((~good).sum())}
    return Draws(values, count, failed)

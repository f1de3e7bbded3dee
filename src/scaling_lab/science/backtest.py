"""Leave the most expensive runs out, refit, predict them: the only test of an extrapolation that needs no new run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.bootstrap import BootstrapOptions, bootstrap_law, predictive_draws
from scaling_lab.science.departed_line import best_on_line
from scaling_lab.science.envelope import bootstrap_envelope, fit_envelope, lower_envelope
from scaling_lab.science.fitting import Objective, fit_law
from scaling_lab.science.isoflop import Profile, TokenCost, fit_isoflop
from scaling_lab.science.isoflop_draws import bootstrap_isoflop
from scaling_lab.science.laws import Array, Law

Mask = NDArray[np.bool_]
_BEYOND = 1e3  # times the sizes that were trained, where N* is looked for


@dataclass(frozen=True)
class Prediction:
    """A prediction of what was held out [n], loss in nats or N*, with the interval of a new measurement at `level`."""

    held_out: NDArray[np.intp]  # indices into the runs, or the profiles
    measured: Array
    predicted: Array
    low: Array
    high: Array
    level: float

    @property
    def relative_error(self) -> Array:
        """Predicted over measured, less one."""
        return self.predicted / self.measured - 1

    @property
    def coverage(self) -> float:
        """Share of held-out runs inside their interval."""
        return float(np.mean((self.measured >= self.low) & (self.measured <= self.high)))

    @property
    def mean_absolute_error(self) -> float:
        """Mean absolute relative error."""
        return float(np.mean(np.abs(self.relative_error)))


def most_expensive(flops: Array, factor: float = 2.0) -> Mask:
    """Runs that cost more than the most expensive one divided by `factor`."""
    return np.asarray(flops > flops.max() / factor)


def backtest_law(
    law: Law,
    variables: Mapping[str, Array],
    loss: Array,
    held_out: Mask,
    objective: Objective,
    options: BootstrapOptions,
    starts: Array | None = None,
) -> Prediction:
    """Fit `law` to the runs not held out and predict the others. Raises FitRefusedError."""
    result = fit_law(law, {n: v[~held_out] for n, v in variables.items()}, loss[~held_out], objective, starts)
    new = {name: variables[name][held_out] for name in law.variables}
    draws = predictive_draws(result, bootstrap_law(result, options), new, options.seed)
    return _prediction(np.flatnonzero(held_out), loss, result.predict(new), draws, options.level)


def backtest_envelope(
    flops: Array, loss: Array, params: Array, held_out: Mask, objective: Objective, options: BootstrapOptions
) -> Prediction:
    """Fit L(C) to the envelope of the runs not held out; predict the held-out runs on the envelope of all."""
    kept = ~held_out
    envelope = fit_envelope(flops[kept], loss[kept], params[kept], objective)
    draws = bootstrap_envelope(envelope, flops[kept], loss[kept], params[kept], options)
    members = np.array([i for i in lower_envelope(flops, loss) if held_out[i]], dtype=np.intp)
    new = {"X": flops[members]}
    losses = predictive_draws(envelope.law, draws, new, options.seed)
    return _prediction(members, loss, envelope.law.predict(new), losses, options.level)


def backtest_isoflop(profiles: Sequence[Profile], cost: TokenCost, options: BootstrapOptions) -> Prediction:
    """Fit N_opt(C) to all budgets but the largest with a usable vertex, and predict that vertex.

    The interval holds the error of the measured vertex too, and with `options.departure` that of the losses there.
    Raises FitRefusedError below three budgets that are left.
    """
    accepted = [i for i, profile in enumerate(profiles) if profile.vertex is not None]
    last = max(accepted, key=lambda i: profiles[i].flops, default=-1)
    kept = [profile for i, profile in enumerate(profiles) if i != last]
    fit = fit_isoflop(kept)
    draws = bootstrap_isoflop(fit, cost, options).values
    flops, vertex = profiles[last].flops, profiles[last].vertex
    assert vertex is not None  # fit_isoflop refused otherwise
    errors = np.random.default_rng(options.seed).standard_normal(len(draws["a"])) * vertex.log_params_error
    sizes = np.concatenate([profile.params for profile in profiles])
    within = (float(sizes.min()) / _BEYOND, float(sizes.max()) * _BEYOND)
    params = best_on_line(draws, np.array([flops]), cost, within)[:, 0] * np.exp(errors)
    predicted = np.array([fit.params_coefficient * flops**fit.a])
    indices = np.array([last], dtype=np.intp)
    measured = np.array([p.vertex.params if p.vertex else np.nan for p in profiles])
    return _prediction(indices, measured, predicted, params[:, None], options.level)


def _prediction(indices: NDArray[np.intp], measured: Array, predicted: Array, draws: Array, level: float) -> Prediction:
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return Prediction(indices, measured[indices], predicted, low, high, level)

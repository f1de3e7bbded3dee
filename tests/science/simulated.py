"""A synthetic training-curve model: a Hoffmann surface, a penalty in mid-schedule, runs of matched horizons."""

import numpy as np

from scaling_lab.science.curve_envelope import Curve
from scaling_lab.science.isoflop import TokenCost
from scaling_lab.science.laws import Array, hoffmann
from scaling_lab.science.optimum import closed_form_optimum
from scaling_lab.science.runs import Runs

EPOCH = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
SIX_N = TokenCost(np.array([1e3, 1e15]), np.array([6e3, 6e15]))
PENALTY = 0.06  # of the loss while the learning rate is at its peak


def study(law: dict[str, float], rng: np.random.Generator, noise: float, sizes: int = 15, factor: float = 12.0) -> Runs:
    """IsoFLOP runs: eight budgets, sizes centred on the optimum of each."""
    params, flops = [], []
    for budget in np.geomspace(1e18, 1e21, 8):
        best = float(closed_form_optimum(law, budget).params)
        params.append(best * np.geomspace(1 / factor, factor, sizes))
        flops.append(np.full(sizes, budget))
    n, c = np.concatenate(params), np.concatenate(flops)
    tokens = c / (6 * n)
    loss = hoffmann(n, tokens, **law) * np.exp(noise * rng.standard_normal(len(n)))
    return Runs(n, tokens, c, np.asarray(loss))


def curves_of(law: dict[str, float], runs: Runs, horizon_factor: Array | float = 1.0, points: int = 120) -> list[Curve]:
    """The curve of every run: cosine schedules of `horizon_factor` times the tokens that were trained."""
    planted = hoffmann(runs.params, runs.tokens, **law)
    factors = np.broadcast_to(horizon_factor, len(runs.params))
    curves = []
    for n, d, shift, longer in zip(runs.params, runs.tokens, runs.loss / planted, factors, strict=True):
        tokens = d * np.linspace(0.02, 1, points)
        progress = tokens / (d * longer)
        rate = 0.5 * (1 + np.cos(np.pi * progress))
        loss = hoffmann(n, tokens, **law) * shift * (1 + PENALTY * rate)
        curves.append(Curve(float(n), 6 * n * tokens, tokens, np.asarray(loss), progress))
    return curves

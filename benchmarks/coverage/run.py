"""How often 90 % intervals hold the truth: simulated studies of a planted law, refitted and resampled.

python benchmarks/coverage/run.py [--studies 500] [--resamples 250] prints the table of README.md. One core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scaling_lab.science.bootstrap import BootstrapOptions, bootstrap_law
from scaling_lab.science.fitting import Objective
from scaling_lab.science.isoflop import TokenCost, fit_isoflop, fit_profile
from scaling_lab.science.isoflop_draws import bootstrap_isoflop
from scaling_lab.science.laws import LAWS, Array, hoffmann
from scaling_lab.science.optimum import closed_form_optimum
from scaling_lab.science.projection import fit_projected
from scaling_lab.science.refusal import FitRefusedError

LEVEL = 0.9
SMALL = {"E": 1.2, "A": 12.0, "B": 60.0, "alpha": 0.25, "beta": 0.28}
EPOCH = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
SIX_N = TokenCost(np.array([1e2, 1e15]), np.array([6e2, 6e15]))
Quantities = dict[str, Array]


@dataclass(frozen=True)
class Study:
    """A design, its law and the noise of a run (standard deviation of log loss)."""

    name: str
    law: dict[str, float]
    params: Array
    tokens: Array
    noise: float
    tails: bool = False  # Student noise of three degrees of freedom, twice as large for the smallest third of sizes

    @property
    def beyond(self) -> float:
        """FLOPs one decade beyond the data."""
        return 60 * float((self.params * self.tokens).max())

    def losses(self, rng: np.random.Generator) -> Array:
        """A new study: measured losses [n]."""
        size = np.full(len(self.params), self.noise)
        draws = rng.standard_normal(len(size))
        if self.tails:
            size = np.where(self.params <= np.quantile(self.params, 1 / 3), 2 * size, size)
            draws = rng.standard_t(3, len(size)) / np.sqrt(3)
        return np.asarray(hoffmann(self.params, self.tokens, **self.law) * np.exp(size * draws))


def grid(law: dict[str, float], noise: float, tails: bool = False) -> Study:
    n, d = np.meshgrid(np.geomspace(768, 2.5e5, 7), np.geomspace(2.5e5, 8e6, 6))
    name = "grid of 42 runs" + (", heavy tails, unequal noise" if tails else "")
    return Study(name, law, n.ravel(), d.ravel(), noise, tails)


def published_size(noise: float) -> Study:
    rng = np.random.default_rng(0)
    n = np.geomspace(5e7, 1e10, 40).repeat(6)
    return Study("240 runs, Besiroglu law", EPOCH, n, n * np.exp(rng.uniform(np.log(2), np.log(200), 240)), noise)


def surface_quantities(parameters: dict[str, Array], flops: float) -> Quantities:
    chosen = {name: np.asarray(parameters[name]) for name in LAWS["hoffmann"].parameter_names}
    best = closed_form_optimum(chosen, flops)
    a = chosen["beta"] / (chosen["alpha"] + chosen["beta"])
    return {"a": a, "N*": np.asarray(best.params), "loss": np.asarray(best.loss)}


def surface_draws(
    study: Study, loss: Array, seed: int, objective: Objective, method: str, resamples: int
) -> Quantities:
    runs = {"N": study.params, "D": study.tokens}
    fit = fit_projected(LAWS["hoffmann"], runs, loss, objective)
    options = BootstrapOptions(resamples, LEVEL, seed, method, starts=1)  # type: ignore[arg-type]
    return surface_quantities(bootstrap_law(fit, options).values, study.beyond)


def isoflop_draws(law: dict[str, float], noise: float, seed: int, resamples: int) -> Quantities:
    """Five budgets of seven sizes, centred; N* one decade beyond the largest budget."""
    rng, profiles = np.random.default_rng(seed), []
    for flops in np.geomspace(1e10, 1e12, 5):
        sizes = float(closed_form_optimum(law, flops).params) * np.geomspace(1 / 4, 4, 7)
        loss = hoffmann(sizes, flops / (6 * sizes), **law) * np.exp(noise * rng.standard_normal(7))
        profiles.append(fit_profile(float(flops), sizes, np.asarray(loss), SIX_N))
    draws = bootstrap_isoflop(fit_isoflop(profiles), SIX_N, BootstrapOptions(resamples, LEVEL, seed)).values
    return {"a": draws["a"], "N*": draws["params_coefficient"] * 1e13 ** draws["a"]}


def coverage(draw: Callable[[int], Quantities], truth: Quantities, studies: int) -> tuple[dict[str, float], int]:
    """Share of the studies that were not refused whose interval holds the truth; number refused."""
    inside, used = dict.fromkeys(truth, 0), 0
    for seed in range(studies):
        try:
            values = draw(seed)
        except FitRefusedError:
            continue
        used += 1
        for name in inside:
            low, high = np.quantile(values[name], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            inside[name] += bool(low <= truth[name] <= high)
    return {name: count / used for name, count in inside.items()}, studies - used


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=250)
    chosen = parser.parse_args()
    print("| study | fit | bootstrap | a | N* | loss | refused | s |\n|---|---|---|---|---|---|---|---|", flush=True)

    def row(study: str, fit: str, method: str, draw: Callable[[int], Quantities], truth: Quantities) -> None:
        start = time.perf_counter()
        found, refused = coverage(draw, truth, chosen.studies)
        cells = [f"{100 * found[name]:.1f}" if name in found else "" for name in ("a", "N*", "loss")]
        wall = time.perf_counter() - start
        print(f"| {study} | {fit} | {method} | {' | '.join(cells)} | {refused} | {wall:.0f} |", flush=True)

    small, tails, large = grid(SMALL, 0.004), grid(SMALL, 0.004, True), published_size(0.004)
    for study, objective, method in (
        *((small, o, m) for o in (Objective(), Objective("squares")) for m in ("wild", "residuals", "runs")),
        *((tails, o, m) for o in (Objective(), Objective("squares")) for m in ("wild", "runs")),
        *((large, Objective(), m) for m in ("runs", "wild")),
    ):
        losses = {seed: study.losses(np.random.default_rng([seed, 1])) for seed in range(chosen.studies)}
        truth = surface_quantities({k: np.asarray(v) for k, v in study.law.items()}, study.beyond)

        def draw(
            seed: int,
            study: Study = study,
            objective: Objective = objective,
            method: str = method,
            losses: dict[int, Array] = losses,
        ) -> Quantities:
            return surface_draws(study, losses[seed], seed, objective, method, chosen.resamples)

        row(study.name, f"Approach 3, {objective.name}", method, draw, truth)
    best = closed_form_optimum(SMALL, 1e13)
    truth = {"a": np.asarray(0.28 / 0.53), "N*": np.asarray(best.params)}
    row("5 budgets of 7 sizes", "Approach 2, parabola", "noise", lambda s: isoflop_draws(SMALL, 0.004, s, 400), truth)


if __name__ == "__main__":
    main()

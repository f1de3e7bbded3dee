"""Designed grids against grids that people draw: the interval of N* at a target budget, over simulated studies.

python benchmarks/design/run.py [--studies 100] [--resamples 100] prints the tables of README.md. One core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scaling_lab.science.bootstrap import BootstrapOptions, bootstrap_law
from scaling_lab.science.departure import law_of_draws
from scaling_lab.science.design import Cells, Noise, Target, choose_cells, prior_beliefs
from scaling_lab.science.design_grids import Frontier, isoflop_profiles, lattice, log_spaced
from scaling_lab.science.design_prior import LawPrior, published_prior
from scaling_lab.science.design_trials import simulate_studies, try_grid
from scaling_lab.science.fitting import FitResult
from scaling_lab.science.laws import Array
from scaling_lab.science.projection import fit_projected
from scaling_lab.science.refusal import FitRefusedError

LEVEL = 0.9
BUDGET, TARGET = 1e19, 1e21
SHARES = (1 / 4, 1 / 8, 1 / 20)
FRACTIONS = (1.0, 1 / 2, 1 / 10)
MULTIPLES = (1.0, 4.0)
STATED = (0.0, 0.002, 0.004, 0.008, 0.01)  # departure that an analysis believes in; 0: the law is exact
HEADINGS = "| grid | FLOPs | runs | dearest run | decided within | refused |"
HEADINGS += "".join(f" {100 * stated:g} % |" for stated in STATED)
MOST_RUNS = 42  # as many as the log-spaced grid has


@dataclass(frozen=True)
class Case:
    """What is decided, with which noise; the designer's laws are not those of the studies that judge it."""

    target: Target
    noise: Noise
    prior: LawPrior
    trials: LawPrior
    truth: LawPrior
    frontier: Frontier


@dataclass(frozen=True)
class Outcome:
    """Of the studies of a grid: the width of the 90 % interval of log N*, whether it holds the truth, both by the
    departure that was stated [S, 5], and the error [S]."""

    widths: Array
    inside: Array
    errors: Array
    refused: int

    @property
    def factors(self) -> Array:
        """Half of the median interval, as a factor up or down, by the departure that was stated."""
        return np.asarray(np.exp(np.median(self.widths, axis=0) / 2))


def case_of(flops: float, misfit: float, studies: int) -> Case:
    target = Target(flops, lambda params: 6 * params, (1e2, 1e16))
    laws = [
        published_prior(BUDGET / 30, target.cost, target.params_range, count, seed)
        for count, seed in ((32, 0), (200, 1), (studies, 2))
    ]
    return Case(target, Noise(0.004, misfit), *laws, Frontier(laws[0], target, 1e-7 * BUDGET))


def designed(case: Case, budget: float) -> Cells:
    """As `scaling-lab design` does: the best of three bounds on the dearest run, by simulated studies."""
    found = []
    for share in SHARES:
        cells = lattice(case.frontier, case.target, share * budget)
        beliefs = prior_beliefs(case.prior, case.target, cells, case.noise)
        grid = cells.take(choose_cells(beliefs, cells.flops, budget, MOST_RUNS).cells)
        found.append((try_grid(case.trials, case.target, grid, case.noise, 0).factor(), grid))
    return min(found, key=lambda pair: pair[0])[1]


def outcome(case: Case, cells: Cells, resamples: int) -> Outcome:
    """Every study fitted by variable projection and resampled as a real one is, for every departure stated."""
    simulated = simulate_studies(case.truth, case.target, cells, case.noise, 7)
    widths, inside, errors = [], [], []
    for losses, truth in zip(simulated.losses, simulated.log_best, strict=True):
        try:
            fit = fit_projected(case.truth.law, {"N": cells.params, "D": cells.tokens}, losses)
        except FitRefusedError:
            continue
        low, high = np.array([interval(case, fit, stated, resamples) for stated in STATED]).T
        widths.append(high - low)
        inside.append((low <= truth) & (truth <= high))
        errors.append(float(case.target.best(fit.law, fit.parameters)) - truth)
    return Outcome(np.array(widths), np.array(inside), np.array(errors), len(case.truth) - len(widths))


def interval(case: Case, fit: FitResult, stated: float, resamples: int) -> Array:
    """Ends of the 90 % interval of log N*."""
    draws = bootstrap_law(fit, BootstrapOptions(resamples, LEVEL, 0, starts=1, departure=stated)).values
    law = law_of_draws(fit.law, draws)
    drawn = case.target.best(law, {name: draws[name] for name in law.parameter_names})
    return np.asarray(np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))


def crossing(shares: list[float], factors: list[float], wanted: float) -> float:
    """The share of the budget at which a curve of factors reaches `wanted`, log-linear; NaN outside."""
    order = np.argsort(factors)
    x, y = np.log(np.log(factors))[order], np.log(shares)[order]
    at = np.log(np.log(wanted))
    return float(np.exp(np.interp(at, x, y))) if x[0] <= at <= x[-1] else float("nan")


def table(case: Case, title: str, resamples: int) -> None:
    print(f"\n{title}\n\n{HEADINGS}\n|{'---|' * (6 + len(STATED))}", flush=True)

    def curve(name: str, grid: Callable[[float], Cells], shares: tuple[float, ...]) -> list[float]:
        factors = []
        for share in shares:
            cells = grid(share * BUDGET)
            found = outcome(case, cells, resamples)
            factors.append(float(found.factors[0]))
            within = float(np.exp(np.quantile(np.abs(found.errors), LEVEL)))
            spent = f"{cells.flops.sum() / BUDGET:.3g} | {len(cells)} | {cells.flops.max() / BUDGET:.2g}"
            pairs = zip(found.factors, found.inside.mean(axis=0), strict=True)
            known = " | ".join(f"{factor:.3f}x, {100 * held:.0f} %" for factor, held in pairs)
            print(f"| {name} | {spent} | {within:.2f}x | {found.refused} | {known} |", flush=True)
        return factors

    naive = curve("log-spaced, 7 x 6", lambda b: log_spaced(case.frontier, case.target, b), MULTIPLES)
    profiles = curve("IsoFLOP, 5 x 7", lambda b: isoflop_profiles(case.frontier, case.target, b), MULTIPLES[:1])
    ours = curve("designed", lambda b: designed(case, b), FRACTIONS)
    for name, wanted in (("log-spaced", naive[0]), ("IsoFLOP", profiles[0])):
        least = crossing(list(FRACTIONS), ours, wanted)
        said = f"{100 * least:.0f} %" if np.isfinite(least) else f"less than {100 * FRACTIONS[-1]:.0f} %"
        print(f"\nThe interval of the {name} grid ({wanted:.3f}x): designed for {said} of its FLOPs.", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=100)
    chosen = parser.parse_args()
    start = time.perf_counter()
    for misfit, said in ((0.0, "laws hold exactly"), (0.004, "losses depart smoothly from their laws by 0.4 %")):
        case = case_of(TARGET, misfit, chosen.studies)
        table(case, f"{said}; noise of a run 0.4 %", chosen.resamples)
    print(f"\n{time.perf_counter() - start:.0f} s of wall time, {time.process_time():.0f} s of CPU time")


if __name__ == "__main__":
    main()

"""How often intervals of the three approaches hold the truth where losses depart smoothly from their law.

python benchmarks/coverage/departures.py [--studies 200] [--resamples 200] prints the second table of README.md. One core.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np

from scaling_lab.science.allocation import Frontier, Question, law_frontier
from scaling_lab.science.approaches import ApproachOptions, Runs, budget_profiles, compare_approaches
from scaling_lab.science.bootstrap import BootstrapOptions
from scaling_lab.science.curve_envelope import Curve
from scaling_lab.science.departure import departed, field_numbers, field_values
from scaling_lab.science.isoflop import TokenCost
from scaling_lab.science.laws import LAWS, Array

LEVEL = 0.9
NOISE = 0.003  # of log loss, from seed to seed
PENALTY = 0.06  # of the loss before a schedule ends
LARGEST, BEYOND = 1e12, 10.0  # FLOPs of the dearest runs, and how many times that the decision costs
SPAN = (LARGEST / 100, LARGEST)
PLANTED = (0.0, 0.005, 0.01)
STATED = (0.0, 0.005, 0.01)  # departure that an analysis believes in; 0: the law is exact
APPROACHES = ("envelope", "isoflop_parabola", "isoflop_akima", "joint")
_OTHER_FIELDS = 100_000  # seeds of planted fields: others than those of any bootstrap
COST = TokenCost(np.array([1e2, 1e15]), np.array([6e2, 6e15]))  # 6 N
QUESTION = Question(np.array([BEYOND * LARGEST]), lambda params: 6 * params, (1e1, 1e9))


@dataclass(frozen=True)
class Surface:
    """A law with planted parameters, and the approach that fits it to all runs."""

    name: str
    law: str
    joint: str
    parameters: dict[str, float]

    def frontier(self, departure: float, study: int) -> Frontier:
        """The truth: slopes of the law itself, N* of the surface that departs from it by the field of a study."""
        field = {"departure": departure, "field": float(field_numbers(1, _OTHER_FIELDS + study)[0])}
        return law_frontier(LAWS[self.law], self.parameters | (field if departure else {}), SPAN, QUESTION)

    def losses(self, params: Array, tokens: Array, departure: float, study: int) -> Array:
        """Losses of the departed surface [n], without noise."""
        field = {"departure": departure, "field": field_numbers(1, _OTHER_FIELDS + study)}
        return departed(LAWS[self.law]).predict(self.parameters | field, {"N": params, "D": tokens})


SURFACES = (
    Surface("Hoffmann", "hoffmann", "variable_projection",
            {"E": 1.2, "A": 12.0, "B": 60.0, "alpha": 0.25, "beta": 0.28}),
    Surface("Kaplan", "kaplan", "kaplan", {"Nc": 1.4e11, "Dc": 3.3e10, "alpha_N": 0.085, "alpha_D": 0.125}),
)  # fmt: skip


def isoflop_runs(surface: Surface, departure: float, study: int, rng: np.random.Generator) -> Runs:
    """Five budgets over two decades, at each seven sizes within a factor 4 of the law's best."""
    budgets = np.geomspace(*SPAN, 5)
    best = law_frontier(LAWS[surface.law], surface.parameters, SPAN, replace(QUESTION, budgets=budgets)).params
    params = (best[:, None] * np.geomspace(1 / 4, 4, 7)).ravel()
    flops = budgets.repeat(7)
    tokens = flops / (6 * params)
    loss = surface.losses(params, tokens, departure, study)
    return Runs(params, tokens, flops, loss * np.exp(NOISE * rng.standard_normal(len(loss))))


def horizon_curves(surface: Surface, departure: float, study: int, rng: np.random.Generator) -> list[Curve]:
    """Fifteen sizes at five horizons spanning 16 times, centred on the law's best size of each budget."""
    budgets = np.geomspace(SPAN[0] / 4, 4 * SPAN[1], 15)
    best = law_frontier(LAWS[surface.law], surface.parameters, SPAN, replace(QUESTION, budgets=budgets)).params
    curves = []
    for params, budget in zip(best, budgets, strict=True):
        for factor in np.geomspace(1 / 4, 4, 5):
            flops = factor * budget * np.geomspace(0.02, 1, 100)
            tokens = flops / (6 * params)
            if not SPAN[0] <= flops[-1] <= 1.001 * SPAN[1]:
                continue
            progress = flops / flops[-1]
            loss = surface.losses(np.full(100, params), tokens, departure, study)
            late = 1 + PENALTY * np.clip((1 - progress) / 0.2, 0, 1)
            loss = loss * late * np.exp(NOISE * rng.standard_normal())
            curves.append(Curve(float(params), flops, tokens, loss, progress))
    return curves


def ends_of(curves: list[Curve]) -> Runs:
    ends = [(curve.params, curve.tokens[-1], curve.flops[-1], curve.loss[-1]) for curve in curves]
    return Runs(*np.array(ends).T)


def intervals(surface: Surface, name: str, departure: float, study: int, stated: float, resamples: int) -> Array:
    """Value, low and high of a and of log N* [2, 3]; not a number where the approach is refused."""
    rng = np.random.default_rng([study, 1])
    curves = horizon_curves(surface, departure, study, rng) if name == "envelope" else None
    runs = ends_of(curves) if curves else isoflop_runs(surface, departure, study, rng)
    asked = surface.joint if name == "joint" else name
    resampling = BootstrapOptions(resamples, LEVEL, study, starts=1, departure=stated)
    options = ApproachOptions(resampling=resampling, smoothing=0.0)
    profiles = [] if curves else budget_profiles(runs, COST)
    found = compare_approaches(runs, QUESTION, profiles, COST, options, curves, (asked,)).allocations[asked]
    if found.refusal is not None:
        return np.full((2, 3), np.nan)
    rows = []
    for estimate, change in ((found.exponents["a"], float), (found.optima[0]["params"], np.log)):
        assert estimate.interval is not None
        rows.append([change(x) for x in (estimate.value, estimate.interval.low, estimate.interval.high)])
    return np.array(rows)


def row(surface: Surface, name: str, departure: float, studies: int, resamples: int) -> str:
    """A line of the table: of every departure stated, how often a and N* lie inside, and half the median width."""
    start, cells, refused, errors = time.perf_counter(), [], 0, None
    truths = [surface.frontier(departure, study) for study in range(studies)]
    truth = np.array([[float(t.a), float(np.log(t.params[0]))] for t in truths])
    for stated in STATED:
        found = np.array([intervals(surface, name, departure, s, stated, resamples) for s in range(studies)])
        known = np.isfinite(found).all(axis=(1, 2))
        value, low, high = np.moveaxis(found[known], 2, 0)
        inside = 100 * np.mean((low <= truth[known]) & (truth[known] <= high), axis=0)
        width = np.median(high - low, axis=0) / 2
        cells.append(f"{inside[0]:.0f} %, ±{width[0]:.3f} | {inside[1]:.0f} %, {np.exp(width[1]):.2f}x")
        refused, errors = int((~known).sum()), value - truth[known]
    assert errors is not None
    bias = f"{np.mean(errors[:, 0]):+.3f} | {np.exp(np.median(errors[:, 1])):.2f}"
    wall = time.perf_counter() - start
    return f"| {surface.name} | {100 * departure:g} % | {name} | {bias} | {' | '.join(cells)} | {refused} | {wall:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--approaches", nargs="+", default=APPROACHES, choices=APPROACHES)
    chosen = parser.parse_args()
    headings = " | ".join(f"a, stated {100 * s:g} % | N*, stated {100 * s:g} %" for s in STATED)
    print(f"| law | departs by | approach | error of a | N* / true | {headings} | refused | s |")
    print(f"|{'---|' * (7 + 2 * len(STATED))}", flush=True)
    for surface in SURFACES:
        for departure in PLANTED:
            for name in chosen.approaches:
                print(row(surface, name, departure, chosen.studies, chosen.resamples), flush=True)


if __name__ == "__main__":
    main()

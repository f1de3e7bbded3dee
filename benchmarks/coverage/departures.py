"""How often intervals of the three approaches hold the truth where losses depart smoothly from their law.

python benchmarks/coverage/departures.py prints the second table of README.md, with --planted 3 --stated 1 3 the third.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np

from scaling_lab.science.allocation import Estimate, Frontier, Question, law_frontier
from scaling_lab.science.approaches import ApproachOptions, budget_profiles, compare_approaches
from scaling_lab.science.bootstrap import BootstrapOptions
from scaling_lab.science.curve_envelope import Curve
from scaling_lab.science.departure import departed, field_numbers
from scaling_lab.science.isoflop import TokenCost
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.runs import Runs

LEVEL = 0.9
NOISE = 0.003  # of log loss, from seed to seed
PENALTY = 0.06  # of the loss before a schedule ends
LARGEST, BEYOND = 1e12, 10.0  # FLOPs of the dearest runs, and how many times that the decision costs
SPAN = (LARGEST / 100, LARGEST)
PLANTED = (0.0, 0.5, 1.0)  # percent
STATED = (0.5, 1.0)  # what an analysis believes of it; beside them stands the interval of an exact law
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
    """Of a and of log N*: value and both intervals [2, 5], the exact law's first; not a number where it is refused."""
    rng = np.random.default_rng([study, 1])
    curves = horizon_curves(surface, departure, study, rng) if name == "envelope" else None
    runs = ends_of(curves) if curves else isoflop_runs(surface, departure, study, rng)
    asked = surface.joint if name == "joint" else name
    resampling = BootstrapOptions(resamples, LEVEL, study, starts=1, departure=stated)
    options = ApproachOptions(resampling=resampling, smoothing=0.0)
    profiles = [] if curves else budget_profiles(runs, COST)
    found = compare_approaches(runs, QUESTION, profiles, COST, options, curves, (asked,)).allocations[asked]
    if found.refusal is not None:
        return np.full((2, 5), np.nan)
    return np.array([numbers(found.exponents["a"]), np.log(numbers(found.optima[0]["params"]))])


def numbers(estimate: Estimate) -> list[float]:
    both = [interval for interval in (estimate.interval, estimate.interval_departed) if interval is not None]
    return [estimate.value, *(end for interval in both for end in (interval.low, interval.high))]


def row(surface: Surface, name: str, departure: float, chosen: argparse.Namespace) -> str:
    """A line of the table: of every departure stated, how often a and N* lie inside, and half the median width."""
    start, studies = time.perf_counter(), range(chosen.studies)
    truths = [surface.frontier(departure, study) for study in studies]
    truth = np.array([[float(t.a), float(np.log(t.params[0]))] for t in truths])
    found = np.array(
        [
            [intervals(surface, name, departure, study, percent / 100, chosen.resamples) for study in studies]
            for percent in chosen.stated
        ]
    )
    known = np.isfinite(found).all(axis=(0, 2, 3))
    errors = (found[0, :, :, 0] - truth)[known]
    kinds = [found[0, :, :, 1:3], *(one[:, :, 3:5] for one in found)]
    cells = " | ".join(cell(ends[known], truth[known]) for ends in kinds)
    what = f"{surface.name} | {100 * departure:g} % | {name}"
    bias = f"{np.mean(errors[:, 0]):+.3f} | {np.exp(np.median(errors[:, 1])):.2f}"
    return f"| {what} | {bias} | {cells} | {(~known).sum()} | {time.perf_counter() - start:.0f} |"


def cell(ends: Array, truth: Array) -> str:
    """Ends [S, 2, 2] of the intervals of a and log N* against the truth [S, 2]."""
    low, high = np.moveaxis(ends, 2, 0)
    inside, width = 100 * np.mean((low <= truth) & (truth <= high), axis=0), np.median(high - low, axis=0) / 2
    return f"{inside[0]:.0f} %, ±{width[0]:.3f} | {inside[1]:.0f} %, {np.exp(width[1]):.2f}x"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=100)
    parser.add_argument("--planted", type=float, nargs="+", default=PLANTED)
    parser.add_argument("--stated", type=float, nargs="+", default=STATED)
    parser.add_argument("--approaches", nargs="+", default=APPROACHES, choices=APPROACHES)
    chosen = parser.parse_args()
    stated = [0.0, *chosen.stated]
    headings = " | ".join(f"a, stated {percent:g} % | N*, stated {percent:g} %" for percent in stated)
    print(f"| law | departs by | approach | error of a | N* / true | {headings} | refused | s |")
    print(f"|{'---|' * (7 + 2 * len(stated))}", flush=True)
    for surface in SURFACES:
        for percent in chosen.planted:
            for name in chosen.approaches:
                print(row(surface, name, percent / 100, chosen), flush=True)


if __name__ == "__main__":
    main()

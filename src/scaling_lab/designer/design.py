"""`scaling-lab design`: the grid that makes the best size at a target budget most certain for the money."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scaling_lab.designer.cells import Bench, Setting, build, load_setting
from scaling_lab.designer.knowledge import Knowledge, noise_from, params_of, prior_from, tokens_of_text
from scaling_lab.designer.study_file import grid_blocks, runs_of, seeded_cells, study_document, study_yaml
from scaling_lab.designer.terminal import print_design
from scaling_lab.errors import ConfigError
from scaling_lab.files import write_text
from scaling_lab.science.design import Cells, Target, choose_cells, prior_beliefs
from scaling_lab.science.design_grids import Frontier, isoflop_profiles, lattice, log_spaced
from scaling_lab.science.design_prior import LawPrior
from scaling_lab.science.design_trials import Trials, try_grid

SHARES = (1 / 4, 1 / 8, 1 / 20)  # of the budget that the dearest run of a designed grid may take
FRACTIONS = (1 / 2, 1 / 4, 1 / 10)  # of the budget, for what less money would buy
LAWS_FOR_CHOICE, LAWS_FOR_TRIALS = 16, 200
SEED_MONEY = 0.01  # share of the budget kept for the seeds that measure the noise
_DEEP = 1e-7  # of the budget: cheaper than any run of a grid


@dataclass(frozen=True)
class DesignRequest:
    """What is asked for: the money, the decision, and what bounds the runs."""

    budget: float
    target: float
    most_runs: int = 60
    largest_run: float | None = None
    most_tokens: float | None = None
    seed: int = 0

    def of_text(self, tokens: float | None) -> DesignRequest:
        """The same for a text of so many training tokens, if they are known: no run reads any of them twice.

        Raises ConfigError where more are asked for: what a repeated token is worth, no law of L(N, D) says.
        """
        if tokens is None:
            return self
        if self.most_tokens is not None and self.most_tokens > tokens:
            raise ConfigError(
                f"--most-tokens {self.most_tokens:g}: the text has {tokens:,.0f} training tokens; allowed: at most"
                " those. No law of L(N, D) prices repeated tokens; the fit data_limits does, on runs of several epochs"
            )
        return replace(self, most_tokens=tokens if self.most_tokens is None else self.most_tokens)

    def check(self) -> None:
        """Raise ConfigError for amounts that cannot be, or a target that needs no study."""
        self.check_amounts()
        if self.target <= self.budget:
            raise ConfigError(
                f"--target {self.target:.3g} is within --budget {self.budget:.3g}: train at the target itself;"
                " allowed: a target above the budget"
            )

    def check_amounts(self) -> None:
        """Raise ConfigError for amounts that cannot be."""
        for name, value in (("--budget", self.budget), ("--target", self.target)):
            if not (np.isfinite(value) and value > 0):
                raise ConfigError(f"{name} {value:g}; allowed: a positive, finite number of FLOPs")
        for name, bound in (("--largest-run", self.largest_run), ("--most-tokens", self.most_tokens)):
            if bound is not None and not bound > 0:
                raise ConfigError(f"{name} {bound:g}; allowed: a positive number")
        if self.most_runs < 1:
            raise ConfigError(f"--most-runs {self.most_runs}; allowed: 1 or more")


@dataclass(frozen=True)
class Candidate:
    """A grid with what simulated studies of it decided. spent: FLOPs, all seeds included."""

    name: str
    bench: Bench
    trials: Trials
    spent: float

    @property
    def runs(self) -> frozenset[str]:
        """What it trains."""
        return frozenset(spec.run_id for spec in self.bench.specs)


@dataclass(frozen=True)
class Drawing:
    """What every candidate is drawn with."""

    setting: Setting
    request: DesignRequest
    text: float | None  # training tokens, where they are known
    target: Target
    knowledge: Knowledge
    choice: LawPrior
    trials: LawPrior
    frontier: Frontier


def run_design(
    root: Path, overlays: Sequence[Path], like: str | None, request: DesignRequest, fits: Sequence[Path],
    study: Path | None, seed_noise: float | None, output: Path,
) -> None:  # fmt: skip
    """Compare grids by simulated studies, write the best as a study, and print what each would tell.

    like: the study whose proportions, recipe and conventions are continued. fits, study: the user's own knowledge; of
    published laws without them.

    Raises:
        ConfigError: amounts that cannot be, a configuration that is wrong, or a budget that pays for no grid.
        TableError: a fit or a study that cannot be used.
    """
    request.check()
    if output.suffix != ".yaml":
        raise ConfigError(f"--output {output}; allowed: a .yaml file, whose name is the name of the study")
    setting = load_setting(root, overlays, like, params_of(study, fits))
    text = tokens_of_text(root / "results", setting.datasets)
    request = request.of_text(text)
    target, knowledge = setting.target(request.target), noise_from(study, seed_noise)
    choice, trials = (
        prior_from(fits, study, request.budget, target, count, request.seed + place)
        for place, count in enumerate((LAWS_FOR_CHOICE, LAWS_FOR_TRIALS))
    )
    frontier = Frontier(choice, target, _DEEP * request.budget)
    drawing = Drawing(setting, request, text, target, knowledge, choice, trials, frontier)
    candidates = draw_candidates(drawing)
    best = min(candidates, key=lambda candidate: candidate.trials.factor())
    blocks, spent = _with_seeds(drawing, best.bench)
    comments = _comments(drawing, best, spent)
    document = study_document(setting, _question(request), blocks, request.target)
    _check_cost(drawing, document, spent)
    write_text(output, study_yaml(document, comments))
    less = [(f, found) for f in FRACTIONS if (found := _designed_for(drawing, f)) and found.runs != best.runs]
    print_design(drawing, candidates, best, less, spent, output)


def draw_candidates(drawing: Drawing) -> list[Candidate]:
    """Designed grids with dearest runs of several sizes, IsoFLOP profiles and the log-spaced grid, tried out.

    Raises:
        ConfigError: the budget pays for none of them.
    """
    found = [_designed(drawing, drawing.request.budget, share) for share in SHARES]
    found += [
        _by_hand(drawing, "IsoFLOP profiles, 5 x 7", isoflop_profiles),
        _by_hand(drawing, "log-spaced, 7 x 6", log_spaced),
    ]
    usable = list({candidate.runs: candidate for candidate in reversed(found) if candidate}.values())[::-1]
    if not usable:
        smallest = min(drawing.setting.shapes, key=lambda shape: shape.params_non_embedding)
        raise ConfigError(
            f"--budget {drawing.request.budget:.3g} FLOPs pays for no grid of models like those of"
            f" {drawing.setting.name}, whose smallest is {smallest.n_layer} x {smallest.d_model}, with the runs and"
            " tokens that are allowed; allowed: a larger budget, or other bounds"
        )
    return usable


def _designed(drawing: Drawing, budget: float, share: float) -> Candidate | None:
    """The best cells of a lattice whose dearest costs `share` of the budget; None with too few for a law."""
    request, target = drawing.request, drawing.target
    dearest = min(share * budget, request.largest_run or np.inf)
    bench = build(drawing.setting, lattice(drawing.frontier, target, dearest), request.most_tokens, dearest)
    if not len(bench.cells):
        return None
    beliefs = prior_beliefs(drawing.choice, target, bench.cells, drawing.knowledge.noise)
    money = budget * (1 - SEED_MONEY) if not drawing.knowledge.seeds_measured else budget
    chosen = choose_cells(beliefs, bench.cells.flops, money, request.most_runs).cells
    return _tried(drawing, f"designed, dearest run 1/{1 / share:.0f}", bench.take(chosen))


def _designed_for(drawing: Drawing, fraction: float) -> Candidate | None:
    """The most certain designed grid for a fraction of the budget."""
    found = [_designed(drawing, fraction * drawing.request.budget, share) for share in SHARES]
    return min((c for c in found if c), key=lambda c: c.trials.factor(), default=None)


def _by_hand(drawing: Drawing, name: str, grid: Callable[[Frontier, Target, float], Cells]) -> Candidate | None:
    """A grid that people draw, of models that can be built; scaled down where rounding makes it too dear."""
    request = drawing.request
    for money in request.budget * np.array([1.0, 0.98, 0.95, 0.9]):
        wanted, dearest = grid(drawing.frontier, drawing.target, float(money)), request.largest_run or np.inf
        bench = build(drawing.setting, wanted, request.most_tokens, dearest)
        if bench.flops <= request.budget and len(bench.cells) <= request.most_runs:
            return _tried(drawing, name, bench)
    return None


def _tried(drawing: Drawing, name: str, bench: Bench) -> Candidate | None:
    if len(bench.cells) <= len(drawing.trials.law.parameters):
        return None
    trials = try_grid(drawing.trials, drawing.target, bench.cells, drawing.knowledge.noise, drawing.request.seed)
    return Candidate(name, bench, trials, bench.flops)


def _with_seeds(drawing: Drawing, bench: Bench) -> tuple[list[dict[str, object]], float]:
    """Blocks of the grid, and its cost; with seeds of the cheapest runs where the noise is not measured."""
    seeded = () if drawing.knowledge.seeds_measured else seeded_cells(bench, drawing.request.budget - bench.flops)
    convention = drawing.setting.flops
    return grid_blocks(bench.specs, seeded), bench.flops + 2 * sum(spec.flops(convention) for spec in seeded)


def _check_cost(drawing: Drawing, document: dict[str, object], spent: float) -> None:
    """The study as it would be expanded costs what was said, which the budget pays for."""
    convention = drawing.setting.flops
    cost = sum(spec.flops(convention) for spec in runs_of(drawing.setting, document).values())
    if not (cost <= drawing.request.budget and np.isclose(cost, spent)):
        raise ConfigError(f"the designed study costs {cost:.6g} FLOPs, not {spent:.6g}; please report this")


def _question(request: DesignRequest) -> str:
    return f"Which model does a budget of {request.target:.3g} FLOPs train best?"


def _comments(drawing: Drawing, best: Candidate, spent: float) -> list[str]:
    request = drawing.request
    return [
        f"Written by `scaling-lab design --budget {request.budget:g} --target {request.target:g}`, after the study"
        f" {drawing.setting.name}.",
        f"{best.name}: {len(best.bench.specs)} cells, {spent:.4g} training FLOPs"
        f" ({drawing.setting.flops}), all seeds included.",
        f"Prior: {drawing.trials.source}. Noise: {drawing.knowledge.noise_source}.",
        f"Of {len(drawing.trials)} simulated studies of it 90 % decide N* within a factor {best.trials.factor():.2f}.",
    ]

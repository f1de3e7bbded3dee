"""`scaling-lab next`: the cells that most lower the expected regret of a study's decision, under a hard budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scaling_lab.designer.cells import Bench, Setting, build, load_setting
from scaling_lab.designer.design import DesignRequest
from scaling_lab.designer.knowledge import Knowledge, basis_of, noise_from, params_of, tokens_of_text
from scaling_lab.designer.proposal_terminal import print_proposal
from scaling_lab.errors import TableError
from scaling_lab.fits.folders import StudyFolder, study_folder
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.surface import surface_variables
from scaling_lab.fits.table import RunTable, read_runs
from scaling_lab.science.design import Choice, Target, choose_cells, posterior_beliefs
from scaling_lab.science.design_grids import Frontier, lattice
from scaling_lab.science.design_prior import LawPrior
from scaling_lab.science.design_trials import wasted_percent
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.planner import FittedLaw

WASTE_DRAWS, MOST_WASTED = 200, 1e4  # per cent; beyond it the size is as good as none
MOST_EDGE = 0.5  # share of the draws without an optimum, above which there is no decision to make surer
_DEEP = 1e-4  # of the budget


@dataclass(frozen=True)
class Proposal:
    """Cells to train, in order, what each lowers the variance of log N* by (share), and what is expected of them."""

    setting: Setting
    request: DesignRequest
    knowledge: Knowledge
    bench: Bench
    choice: Choice
    variance_now: float
    wasted_now: float

    @property
    def wasted_after(self) -> float:
        """Expected share of the target budget wasted, per cent: a regret is quadratic in the error of log N*."""
        return self.wasted_now * self.choice.variance / self.variance_now


def run_next(
    path: Path, budget: float, target: float | None, most_runs: int, largest_run: float | None,
    most_tokens: float | None, overlays: Sequence[Path], root: Path,
) -> None:  # fmt: skip
    """Propose cells and print them as a table and as blocks for the grid of the study.

    path: results/STUDY. target: the budget of the decision; by default the first of the study's plan. most_tokens: by
    default the text that the study's runs read, where it is at hand.

    Raises:
        ConfigError: amounts that cannot be, or a configuration that does not have the study.
        TableError: the study is not finished, its law decides nothing, or no run that is affordable would tell more.
    """
    folder = study_folder(path)
    plan = folder.document("plan")
    aim = target if target is not None else float(plan["budgets"][0]["flops"])
    datasets = {str(name) for name in read_runs(folder.runs).columns.get("tokens_id", np.array([]))}
    request = DesignRequest(budget, aim, most_runs, largest_run, most_tokens)
    request.check_amounts()
    request = request.of_text(tokens_of_text(folder.results, datasets))
    setting = load_setting(root, overlays, folder.name, params_of(path, ()))
    print_proposal(propose(folder, setting, request), folder)


def propose(folder: StudyFolder, setting: Setting, request: DesignRequest) -> Proposal:
    """The cells worth most to the decision at the target, of those that were not run. Raises TableError."""
    law, knowledge = basis_of(folder), noise_from(folder.results / folder.name, None)
    used = status_ok(Selection(read_runs(folder.runs))).table
    runs = surface_variables(used, setting.params)
    target = setting.target(request.target)
    draws, estimate = _draws(law, target, folder), _estimate(law)
    bench = _affordable(setting, request, draws, target, used)
    places = np.column_stack([np.log(runs["N"]), np.log(runs["D"])])
    beliefs = posterior_beliefs(draws, estimate, target, places, bench.cells, knowledge.noise)
    now = float(beliefs.decision[0])
    choice = choose_cells(beliefs, bench.cells.flops, request.budget, request.most_runs)
    if not choice.cells:
        raise TableError(
            f"{folder.name}: no run of at most {request.budget:.3g} FLOPs that is not trained yet would tell more about"
            " the decision; allowed: a larger --budget"
        )
    wasted = _wasted_now(draws, estimate, target)
    return Proposal(setting, request, knowledge, bench.take(choice.cells), choice, now, wasted)


def _draws(law: FittedLaw, target: Target, folder: StudyFolder) -> LawPrior:
    """The bootstrap draws whose best size lies inside the range. Raises TableError where most have none."""
    drawn = law.refits()
    best = numerical_optimum(drawn, target.flops, target.cost, target.params_range, law.law.function)
    inside = ~np.asarray(best.at_edge)
    if inside.mean() < MOST_EDGE:
        raise TableError(
            f"{folder.fits}: {1 - inside.mean():.0%} of the draws of {law.law.name} have no best size at"
            f" {target.flops:.3g} FLOPs: these runs decide nothing yet; `scaling-lab design` starts anew"
        )
    return LawPrior(law.law, {name: values[inside] for name, values in drawn.items()}, folder.name)


def _estimate(law: FittedLaw) -> LawPrior:
    return LawPrior(law.law, {name: np.array([law.parameters[name]]) for name in law.law.parameter_names}, "estimate")


def _affordable(setting: Setting, request: DesignRequest, draws: LawPrior, target: Target, used: RunTable) -> Bench:
    """Cells of a lattice that the budget pays for, without those that were trained.

    None is smaller, or sees fewer tokens, than any run of the study: the law was not fitted there.
    """
    dearest = min(request.budget, request.largest_run or np.inf)
    frontier = Frontier(draws, target, _DEEP * dearest)
    bench, runs = build(setting, lattice(frontier, target, dearest), request.most_tokens, dearest), set(used.runs)
    least = {name: values.min() for name, values in surface_variables(used, setting.params).items()}
    inside = (bench.cells.params >= least["N"]) & (bench.cells.tokens >= least["D"])
    return bench.take([i for i, spec in enumerate(bench.specs) if inside[i] and spec.run_id not in runs])


def _wasted_now(draws: LawPrior, estimate: LawPrior, target: Target) -> float:
    """Mean over the draws of the compute that the decided size wastes, per cent of the target budget."""
    decided = target.best(estimate.law, estimate.parameters)
    some = LawPrior(draws.law, {name: values[:WASTE_DRAWS] for name, values in draws.parameters.items()}, draws.source)
    return float(np.mean(np.minimum(wasted_percent(some, target, np.full(len(some), decided[0])), MOST_WASTED)))

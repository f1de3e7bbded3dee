"""Commands that say which runs to train: `design` a study, or the `next` cells of one. Each calls one function.

Nothing heavy is imported here: `scaling-lab --help` starts at once.
"""

from pathlib import Path
from typing import Annotated

import typer

Budget = Annotated[float, typer.Option(help="training FLOPs to spend, by the study's count; never exceeded")]
Configfile = Annotated[list[Path] | None, typer.Option(help="overlays over config/config.yaml, in order")]
Root = Annotated[Path, typer.Option(help="top of the repository")]
LargestRun = Annotated[float | None, typer.Option(help="most FLOPs of one run")]
MostTokens = Annotated[float | None, typer.Option(help="most tokens of one run (default: the text, once)")]
Seed = Annotated[int, typer.Option(help="of the simulations")]


def design(
    *,
    budget: Budget,
    target: Annotated[float, typer.Option(help="FLOPs of the training run that is to be decided on")],
    output: Annotated[Path, typer.Option(help="study to write")] = Path("config/studies/designed.yaml"),
    like: Annotated[str | None, typer.Option(help="study whose shapes and recipe to continue (default: first)")] = None,
    study: Annotated[Path | None, typer.Option(help="RESULTS/STUDY whose law and noise are the prior")] = None,
    prior: Annotated[list[Path] | None, typer.Option(help="fit.json of L(N, D) as prior; repeatable")] = None,
    seed_noise: Annotated[
        float | None, typer.Option(help="sd of log loss over seeds (default: measured, or 0.004)")
    ] = None,
    most_runs: Annotated[int, typer.Option(help="most runs")] = 60,
    largest_run: LargestRun = None,
    most_tokens: MostTokens = None,
    configfile: Configfile = None,
    root: Root = Path(),
    seed: Seed = 0,
) -> None:
    """Design the grid that makes the best size at a target budget most certain for the money."""
    from scaling_lab.designer.design import DesignRequest, run_design

    request = DesignRequest(budget, target, most_runs, largest_run, most_tokens, seed)
    run_design(root, configfile or (), like, request, prior or (), study, seed_noise, output)


def next_cells(
    study: Annotated[Path, typer.Argument(help="a finished study: RESULTS/STUDY, such as results/default")],
    *,
    budget: Budget,
    target: Annotated[float | None, typer.Option(help="FLOPs of the decision (default: the plan's first)")] = None,
    most_runs: Annotated[int, typer.Option(help="most runs")] = 12,
    largest_run: LargestRun = None,
    most_tokens: MostTokens = None,
    configfile: Configfile = None,
    root: Root = Path(),
) -> None:
    """Propose the cells of a study that would lower the expected regret of its decision most, under a hard budget."""
    from scaling_lab.designer.proposals import run_next

    run_next(study, budget, target, most_runs, largest_run, most_tokens, configfile or (), root)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(design)
    app.command("next")(next_cells)

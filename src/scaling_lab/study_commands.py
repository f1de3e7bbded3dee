"""Commands of a study's analysis, one per rule of workflow/rules/fits.smk. Each calls one function.

Nothing heavy is imported here: `scaling-lab --help` starts at once.
"""

from pathlib import Path
from typing import Annotated

import typer

Options = Annotated[str, typer.Option(help="the `fit` section of the study as JSON")]
PlanOptions = Annotated[str, typer.Option("--plan", help="the `plan` section of the study as JSON")]
Output = Annotated[Path, typer.Option(help="file to write; its folder is made when missing")]


def fit_study(
    name: str,
    *,
    options: Options,
    runs: Annotated[Path, typer.Option(help="runs.parquet")],
    curves: Annotated[Path, typer.Option(help="curves.parquet")],
    output: Output,
) -> None:
    """Fit one law of a study."""
    from scaling_lab.fits.options import FitOptions
    from scaling_lab.fits.stage import run_fit

    run_fit(name, runs, curves, output.parent, FitOptions.model_validate_json(options))


def backtest_study(runs: Path, *, options: Options, output: Output) -> None:
    """Fit without the most expensive runs, and predict them."""
    from scaling_lab.fits.backtest import run_backtest
    from scaling_lab.fits.options import FitOptions

    run_backtest(runs, output, FitOptions.model_validate_json(options))


def compare_approaches(
    runs: Path,
    *,
    curves: Annotated[Path, typer.Option(help="curves.parquet")],
    options: Options,
    plan: PlanOptions,
    output: Output,
) -> None:
    """Compare what every approach says of the best size and data."""
    from scaling_lab.config import PlanConfig
    from scaling_lab.fits.approaches import run_approaches
    from scaling_lab.fits.options import FitOptions

    run_approaches(runs, curves, output, FitOptions.model_validate_json(options), PlanConfig.model_validate_json(plan))


def measure_noise(runs: Path, *, options: Options, output: Output) -> None:
    """Measure how much the loss of a run differs between seeds."""
    from scaling_lab.fits.noise import run_noise
    from scaling_lab.fits.options import FitOptions

    run_noise(runs, output, FitOptions.model_validate_json(options))


def plan_study(
    runs: Path,
    *,
    fits: Annotated[Path, typer.Option(help="folder of the fits")],
    backtest: Annotated[Path, typer.Option(help="backtest.json: the law that predicted best decides")],
    plan: PlanOptions,
    training: Annotated[str, typer.Option(help="the `training` section of the configuration as JSON")],
    output: Output,
) -> None:
    """Plan the compute-optimal model for the budgets of a study."""
    from scaling_lab.config import PlanConfig, TrainingConfig
    from scaling_lab.fits.plan import make_plan

    recipe = TrainingConfig.model_validate_json(training)
    make_plan(runs, fits, backtest, output, PlanConfig.model_validate_json(plan), recipe)


def measure_sensitivity(
    runs: Path,
    *,
    plan: Annotated[Path, typer.Option(help="plan.json: its law and its first budget are decided again")],
    options: Options,
    output: Output,
) -> None:
    """Measure how far the decision hangs on choices, counts and single runs."""
    from scaling_lab.fits.options import FitOptions
    from scaling_lab.fits.sensitivity import run_sensitivity

    run_sensitivity(runs, plan, output, FitOptions.model_validate_json(options))


def judge_claims(
    studies: Annotated[list[str], typer.Option("--study", help="study; repeatable")],
    *,
    results: Annotated[Path, typer.Option(help="results folder")] = Path("results"),
    output: Output,
) -> None:
    """Judge the headline claims of Kaplan et al. 2020 by the fits of all studies."""
    from scaling_lab.fits.claims import judge_claims

    judge_claims(studies, results, output)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (
        fit_study,
        backtest_study,
        compare_approaches,
        measure_noise,
        plan_study,
        measure_sensitivity,
        judge_claims,
    ):
        app.command()(command)

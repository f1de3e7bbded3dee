"""Commands over tables that other people made: fit, compare, backtest, plan. Each calls one function.

Nothing heavy is imported here: `scaling-lab --help` starts at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from scaling_lab.errors import ConfigError

if TYPE_CHECKING:
    from scaling_lab.fits.external import Columns
    from scaling_lab.fits.user_fit import UserFit

Runs = Annotated[Path, typer.Argument(help="CSV or Parquet, one row per run")]
Params = Annotated[str | None, typer.Option(help="column of N (default: N)")]
Tokens = Annotated[str | None, typer.Option(help="column of D (default: D)")]
Flops = Annotated[str | None, typer.Option(help="column of training FLOPs; gives D = C / (6 N), or N, where absent")]
X = Annotated[str | None, typer.Option("--x", help="column of the variable of a law of one variable")]
Column = Annotated[list[str] | None, typer.Option(help="LETTER=COLUMN of any other variable, such as U=unique_tokens")]
Loss = Annotated[str, typer.Option(help="column of the loss in nats per token (of what the law predicts)")]
Run = Annotated[str | None, typer.Option(help="column of run ids, each in one row")]
Cluster = Annotated[str | None, typer.Option(help="column of ids; rows that share one are resampled together")]
Where = Annotated[list[str] | None, typer.Option(help="use only rows with COLUMN=VALUE (also != < <= > >=)")]
DropInvalid = Annotated[bool, typer.Option(help="drop rows with missing or non-positive values instead of stopping")]
Duplicates = Annotated[
    Literal["error", "drop", "keep"], typer.Option(help="what to do with rows equal in variables and loss")
]
ObjectiveName = Annotated[Literal["huber", "lad", "squares"], typer.Option(help="of log residuals, summed")]
Delta = Annotated[float, typer.Option(help="Huber's threshold, in log loss")]
Bootstrap = Annotated[int, typer.Option(help="resamples of the runs, for the intervals")]
Level = Annotated[float, typer.Option(help="of the intervals")]
Seed = Annotated[int, typer.Option(help="of the resampling")]
Fix = Annotated[list[str] | None, typer.Option(help="NAME=VALUE of a parameter that is known")]
LawNames = Annotated[list[str] | None, typer.Option("--law", help="a law; repeat for several (default: all that fit)")]
Factor = Annotated[float, typer.Option(help="hold out the runs that cost more than the largest divided by this")]
Json = Annotated[Path | None, typer.Option("--json", help="file to write, in full precision")]


def fit(
    runs: Runs,
    *,
    law: Annotated[str, typer.Option(help="law by name, such as hoffmann, kaplan, power or power_offset")],
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    x: X = None,
    column: Column = None,
    loss: Loss = "loss",
    run: Run = None,
    cluster: Cluster = None,
    where: Where = None,
    drop_invalid: DropInvalid = False,
    duplicates: Duplicates = "error",
    objective: ObjectiveName = "huber",
    delta: Delta = 1e-3,
    bootstrap: Bootstrap = 1000,
    level: Level = 0.9,
    seed: Seed = 0,
    fix: Fix = None,
    json: Json = None,
) -> None:
    """Fit one law to a table of runs, with intervals."""
    from scaling_lab.fits.user_fit import run_user_fit

    columns = _columns(params, tokens, flops, x, column, loss, run, cluster, law)
    rules = {"where": tuple(where or ()), "drop_invalid": drop_invalid, "duplicates": duplicates}
    engine = {"objective": objective, "delta": delta, "bootstrap": bootstrap, "level": level, "seed": seed}
    run_user_fit(runs, _request(law, columns, rules, engine, fix), json)


def compare(
    runs: Runs,
    *,
    law: LawNames = None,
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    x: X = None,
    column: Column = None,
    loss: Loss = "loss",
    run: Run = None,
    where: Where = None,
    drop_invalid: DropInvalid = False,
    duplicates: Duplicates = "error",
    objective: ObjectiveName = "huber",
    delta: Delta = 1e-3,
    bootstrap: Bootstrap = 500,
    level: Level = 0.9,
    seed: Seed = 0,
    factor: Factor = 2.0,
    json: Json = None,
) -> None:
    """Compare laws on a table of runs: AIC, AICc, and the prediction of the largest runs from the others."""
    from scaling_lab.fits.user_tests import for_laws, run_user_comparison

    columns = _columns(params, tokens, flops, x, column, loss, run, None, *(law or ()))
    rules = {"where": tuple(where or ()), "drop_invalid": drop_invalid, "duplicates": duplicates}
    engine = {"objective": objective, "delta": delta, "bootstrap": bootstrap, "level": level, "seed": seed}
    request = _request("", columns, rules, engine, None)
    run_user_comparison(runs, request, for_laws(request, law or ()), factor, json)


def backtest(
    runs: Runs,
    *,
    law: LawNames = None,
    params: Params = None,
    tokens: Tokens = None,
    flops: Flops = None,
    x: X = None,
    column: Column = None,
    loss: Loss = "loss",
    run: Run = None,
    where: Where = None,
    drop_invalid: DropInvalid = False,
    duplicates: Duplicates = "error",
    objective: ObjectiveName = "huber",
    delta: Delta = 1e-3,
    bootstrap: Bootstrap = 500,
    level: Level = 0.9,
    seed: Seed = 0,
    fix: Fix = None,
    factor: Factor = 2.0,
    json: Json = None,
) -> None:
    """Fit without the most expensive runs of a table, and predict them."""
    from scaling_lab.fits.user_tests import for_laws, run_user_backtest

    columns = _columns(params, tokens, flops, x, column, loss, run, None, *(law or ()))
    rules = {"where": tuple(where or ()), "drop_invalid": drop_invalid, "duplicates": duplicates}
    engine = {"objective": objective, "delta": delta, "bootstrap": bootstrap, "level": level, "seed": seed}
    request = _request("", columns, rules, engine, fix)
    run_user_backtest(runs, request, for_laws(request, law or ()), factor, json)


def plan(
    fit: Annotated[Path, typer.Argument(help="fit.json, with fit.draws.parquet and fit.points.parquet beside it")],
    *,
    flops: Annotated[float | None, typer.Option(help="budget in training FLOPs")] = None,
    gpu_hours: Annotated[float | None, typer.Option(help="budget in hours of one device")] = None,
    device: Annotated[
        str | None, typer.Option(help="a100, h100-sxm, h200 or h100-pcie; others by --peak-flops")
    ] = None,
    peak_flops: Annotated[float | None, typer.Option(help="peak of one device in FLOP/s")] = None,
    utilisation: Annotated[float, typer.Option(help="share of the peak that training reaches; assumed")] = 0.4,
    devices: Annotated[int, typer.Option(help="devices that train together, for the wall time")] = 1,
    inference_tokens: Annotated[float | None, typer.Option(help="tokens that the model will serve")] = None,
    unique_tokens: Annotated[float | None, typer.Option(help="unique tokens that exist")] = None,
    r_d: Annotated[float | None, typer.Option("--repetition-d", help="R_D* (default: Muennighoff's 15.387756)")] = None,
    r_n: Annotated[float | None, typer.Option("--repetition-n", help="R_N* (default: Muennighoff's 5.309743)")] = None,
    critical_batch: Annotated[str | None, typer.Option(help="B*,alpha_B of B_crit = B* / L^(1 / alpha_B)")] = None,
    batch_rule: Annotated[str, typer.Option(help="deepseek, step, porian, olmo, zhang or zhang_fixed_data")] = "step",
    rate_rule: Annotated[str, typer.Option(help="kaplan, deepseek, step, porian or olmo")] = "step",
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """Plan the compute-optimal model of a budget from a fit of L(N, D)."""
    from scaling_lab.fits.user_plan import PlanRequest, critical_batch_of, hardware_of, run_user_plan

    request = PlanRequest(
        flops=flops,
        device_hours=gpu_hours,
        hardware=hardware_of(device, peak_flops, utilisation, devices),
        inference_tokens=inference_tokens,
        unique_tokens=unique_tokens,
        repetition={name: value for name, value in (("R_D", r_d), ("R_N", r_n)) if value is not None},
        critical=critical_batch_of(critical_batch),
        batch_rule=batch_rule,
        rate_rule=rate_rule,
        seed=seed,
    )
    run_user_plan(fit, request, json)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (fit, compare, backtest, plan):
        app.command()(command)


def _columns(
    params: str | None,
    tokens: str | None,
    flops: str | None,
    x: str | None,
    column: list[str] | None,
    loss: str,
    run: str | None,
    cluster: str | None,
    *laws: str,
) -> Columns:
    from scaling_lab.fits.external import Columns
    from scaling_lab.science.laws import LAWS

    named = {"N": params, "D": tokens, "X": x} | _pairs("--column", column)
    for name in laws:
        if x is not None and name in LAWS:
            if len(LAWS[name].variables) > 1:
                raise ConfigError(
                    f"--x: {name} has the variables {', '.join(LAWS[name].variables)}; name their columns"
                )
            named.setdefault(LAWS[name].variables[0], x)
    variables = {letter: name for letter, name in named.items() if name is not None}
    return Columns(loss=loss, variables=variables, flops=flops, run=run, cluster=cluster)


def _request(
    law: str, columns: Columns, rules: dict[str, Any], engine: dict[str, Any], fix: list[str] | None
) -> UserFit:
    from scaling_lab.config import parse_config
    from scaling_lab.fits.external import RowRules
    from scaling_lab.fits.options import FitOptions
    from scaling_lab.fits.user_fit import UserFit

    fixed = {name: _number("--fix", name, value) for name, value in _pairs("--fix", fix).items()}
    options = parse_config(FitOptions, {"loss_column": columns.loss, **engine}, "options")
    return UserFit(law, columns, RowRules(**rules), options, fixed)


def _pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    """NAME=VALUE options as a mapping."""
    pairs = [text.split("=", 1) for text in texts or ()]
    for pair in pairs:
        if len(pair) != 2 or not pair[0].strip() or not pair[1].strip():
            raise ConfigError(f"{option} {'='.join(pair)!r}; allowed: NAME=VALUE")
    return {name.strip(): value.strip() for name, value in pairs}


def _number(option: str, name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"{option} {name}={value}; allowed: a number") from None

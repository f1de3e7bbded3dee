"""Commands over tables that other people made: fit, compare, backtest, plan. Each calls one function.

Nothing heavy is imported here: `scaling-lab --help` starts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from scaling_lab.errors import ConfigError

if TYPE_CHECKING:
    from scaling_lab.fits.external import Columns
    from scaling_lab.fits.user_fit import UserFit

Runs = Annotated[Path, typer.Argument(help="CSV or Parquet, one row per run")]
LawName = Annotated[str, typer.Option(help="law by name, such as hoffmann, kaplan, power or power_offset")]
LawNames = Annotated[list[str] | None, typer.Option("--law", help="a law; repeat for several (default: all that fit)")]
Cluster = Annotated[str | None, typer.Option(help="column of ids; rows that share one are resampled together")]
Bootstrap = Annotated[int, typer.Option(help="resamples of the runs, for the intervals")]
Fix = Annotated[list[str] | None, typer.Option(help="NAME=VALUE of a parameter that is known")]
Factor = Annotated[float, typer.Option(help="hold out the runs that cost more than the largest divided by this")]
Seed = Annotated[int, typer.Option(help="of the resampling")]
Device = Annotated[str | None, typer.Option(help="a100, h100-sxm, h200 or h100-pcie; any other by --peak-flops")]
PeakFlops = Annotated[float | None, typer.Option(help="peak of one device in FLOP/s")]
Utilisation = Annotated[float, typer.Option(help="share of the peak that training reaches; assumed")]
Json = Annotated[Path | None, typer.Option("--json", help="file to write, in full precision")]


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """What every command over a table takes: which columns, which rows, and how the engine fits."""

    params: Annotated[str | None, typer.Option(help="column of N (default: N)")] = None
    tokens: Annotated[str | None, typer.Option(help="column of D (default: D)")] = None
    flops: Annotated[
        str | None, typer.Option(help="column of training FLOPs; gives D = C / (6 N), or N, where absent")
    ] = None
    x: Annotated[str | None, typer.Option("--x", help="column of the variable of a law of one variable")] = None
    column: Annotated[
        list[str] | None, typer.Option(help="LETTER=COLUMN of any other variable, such as U=unique_tokens")
    ] = None
    loss: Annotated[str, typer.Option(help="column of the loss in nats per token (of what the law predicts)")] = "loss"
    run: Annotated[str | None, typer.Option(help="column of run ids, each in one row")] = None
    where: Annotated[list[str] | None, typer.Option(help="use only rows with COLUMN=VALUE (also != < <= > >=)")] = None
    drop_invalid: Annotated[
        bool, typer.Option(help="drop rows with missing or non-positive values instead of stopping")
    ] = False
    duplicates: Annotated[
        Literal["error", "drop", "keep"], typer.Option(help="what to do with rows equal in variables and loss")
    ] = "error"
    objective: Annotated[Literal["huber", "lad", "squares"], typer.Option(help="of log residuals, summed")] = "huber"
    delta: Annotated[float, typer.Option(help="Huber's threshold, in log loss")] = 1e-3
    level: Annotated[float, typer.Option(help="of the intervals")] = 0.9
    departure: Annotated[
        float, typer.Option(help="by how much losses depart smoothly from the law, a share of the loss; 0: not at all")
    ] = 0.01
    seed: Seed = 0

    def columns(self, laws: Sequence[str], cluster: str | None = None) -> Columns:
        """Which column holds what; --x stands for the one variable of a law. Raises ConfigError."""
        from scaling_lab.fits.external import Columns
        from scaling_lab.science.laws import LAWS

        named = {"N": self.params, "D": self.tokens, "X": self.x} | _pairs("--column", self.column)
        for name in laws:
            if self.x is not None and name in LAWS:
                if len(LAWS[name].variables) > 1:
                    raise ConfigError(
                        f"--x: {name} has the variables {', '.join(LAWS[name].variables)}; name their columns"
                    )
                named.setdefault(LAWS[name].variables[0], self.x)
        variables = {letter: name for letter, name in named.items() if name is not None}
        return Columns(loss=self.loss, variables=variables, flops=self.flops, run=self.run, cluster=cluster)

    def request(self, law: str, columns: Columns, bootstrap: int, fix: list[str] | None = None) -> UserFit:
        """What to fit. Raises ConfigError."""
        from scaling_lab.config import parse_config
        from scaling_lab.fits.external import RowRules
        from scaling_lab.fits.options import FitOptions
        from scaling_lab.fits.user_fit import UserFit

        fixed = {name: _number("--fix", name, value) for name, value in _pairs("--fix", fix).items()}
        engine = {name: getattr(self, name) for name in ("objective", "delta", "level", "departure", "seed")}
        options = parse_config(FitOptions, {"loss_column": self.loss, "bootstrap": bootstrap, **engine}, "options")
        rules = RowRules(tuple(self.where or ()), self.drop_invalid, self.duplicates)
        return UserFit(law, columns, rules, options, fixed)


def over_a_table(command: Callable[..., None]) -> Callable[..., None]:
    """`command(..., options=TableOptions(...))` with every field as an option of its own, for typer to read."""
    shared = {item.name: item.default for item in fields(TableOptions)}
    own = [parameter for parameter in signature(command).parameters.values() if parameter.name != "options"]
    hints = get_type_hints(command, include_extras=True) | get_type_hints(TableOptions, include_extras=True)

    def expanded(**given: Any) -> None:
        command(options=TableOptions(**{name: given.pop(name) for name in shared}), **given)

    added = [Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in shared.items()]
    parameters = [item.replace(annotation=hints[item.name]) for item in [*own, *added]]
    expanded.__name__, expanded.__doc__ = command.__name__, command.__doc__
    expanded.__annotations__ = {item.name: item.annotation for item in parameters}
    vars(expanded)["__signature__"] = Signature(parameters)
    return expanded


@over_a_table
def fit(
    runs: Runs,
    *,
    law: LawName,
    cluster: Cluster = None,
    bootstrap: Bootstrap = 1000,
    fix: Fix = None,
    json: Json = None,
    options: TableOptions,
) -> None:
    """Fit one law to a table of runs, with intervals."""
    from scaling_lab.fits.user_fit import run_user_fit

    run_user_fit(runs, options.request(law, options.columns([law], cluster), bootstrap, fix), json)


@over_a_table
def compare(
    runs: Runs,
    *,
    law: LawNames = None,
    bootstrap: Bootstrap = 500,
    factor: Factor = 2.0,
    json: Json = None,
    options: TableOptions,
) -> None:
    """Compare laws on a table of runs: AIC, AICc, and the prediction of the largest runs from the others."""
    from scaling_lab.fits.user_tests import for_laws, run_user_comparison

    request = options.request("", options.columns(law or ()), bootstrap)
    run_user_comparison(runs, request, for_laws(request, law or ()), factor, json)


@over_a_table
def backtest(
    runs: Runs,
    *,
    law: LawNames = None,
    bootstrap: Bootstrap = 500,
    fix: Fix = None,
    factor: Factor = 2.0,
    json: Json = None,
    options: TableOptions,
) -> None:
    """Fit without the most expensive runs of a table, and predict them."""
    from scaling_lab.fits.user_tests import for_laws, run_user_backtest

    request = options.request("", options.columns(law or ()), bootstrap, fix)
    run_user_backtest(runs, request, for_laws(request, law or ()), factor, json)


def plan(
    fit: Annotated[Path, typer.Argument(help="fit.json of `fit`, or a finished study: RESULTS/STUDY")],
    *,
    flops: Annotated[float | None, typer.Option(help="budget in training FLOPs")] = None,
    gpu_hours: Annotated[float | None, typer.Option(help="budget in hours of one device")] = None,
    device: Device = None,
    peak_flops: PeakFlops = None,
    utilisation: Utilisation = 0.4,
    devices: Annotated[int, typer.Option(help="devices that train together, for the wall time")] = 1,
    inference_tokens: Annotated[float | None, typer.Option(help="tokens that the model will serve")] = None,
    unique_tokens: Annotated[float | None, typer.Option(help="unique tokens that exist")] = None,
    r_d: Annotated[float | None, typer.Option("--repetition-d", help="R_D* (default: Muennighoff's 15.387756)")] = None,
    r_n: Annotated[float | None, typer.Option("--repetition-n", help="R_N* (default: Muennighoff's 5.309743)")] = None,
    critical_batch: Annotated[str | None, typer.Option(help="B*,alpha_B of B_crit = B* / L^(1 / alpha_B)")] = None,
    batch_rule: Annotated[
        str | None, typer.Option(help="step (default), deepseek, porian, olmo, zhang or zhang_fixed_data")
    ] = None,
    rate_rule: Annotated[str | None, typer.Option(help="step (default), kaplan, deepseek, porian or olmo")] = None,
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """Plan the compute-optimal model of a budget, from a fit of L(N, D) or from all that a finished study found."""
    if fit.suffix != ".json":
        of_fits: dict[str, Any] = {
            "inference_tokens": inference_tokens,
            "unique_tokens": unique_tokens,
            "repetition_d": r_d,
        }
        of_fits |= {"repetition_n": r_n, "critical_batch": critical_batch}
        of_fits |= {"batch_rule": batch_rule, "rate_rule": rate_rule}
        _plan_of_study(fit, flops, gpu_hours, (device, peak_flops, utilisation, devices), of_fits, json)
        return
    from scaling_lab.fits.budgets import hardware_of
    from scaling_lab.fits.user_plan import PlanRequest, critical_batch_of, run_user_plan

    request = PlanRequest(
        flops=flops,
        device_hours=gpu_hours,
        hardware=hardware_of(device, peak_flops, utilisation, devices),
        inference_tokens=inference_tokens,
        unique_tokens=unique_tokens,
        repetition={name: value for name, value in (("R_D", r_d), ("R_N", r_n)) if value is not None},
        critical=critical_batch_of(critical_batch),
        batch_rule=batch_rule or "step",
        rate_rule=rate_rule or "step",
        seed=seed,
    )
    run_user_plan(fit, request, json)


def _plan_of_study(
    study: Path,
    flops: float | None,
    gpu_hours: float | None,
    machine: tuple[str | None, float | None, float, int],
    of_fits: dict[str, Any],
    json: Path | None,
) -> None:
    """Plan from a finished study; options that only a plan of a fit takes are refused."""
    from scaling_lab.fits.budgets import budget_flops, hardware_of
    from scaling_lab.fits.study_plan import run_study_plan

    for name, value in of_fits.items():
        if value is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')} {value}: a study has a recipe of its own; allowed with a fit of it, such"
                f" as results/fits/{study.name}/hoffmann.json"
            )
    hardware = hardware_of(*machine)
    asked = None if flops is None and gpu_hours is None else budget_flops(flops, gpu_hours, hardware)
    run_study_plan(study, asked, hardware, json)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (fit, compare, backtest, plan):
        app.command()(command)


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

"""Published runs of three papers through `fit`, `backtest` and `compare`: python run.py DATA [--output DIR].

DATA holds the folders OLMo-ladder, MultiPowerLaw and datablations (sources in README.md). Every command is printed, so
that any row can be repeated alone; the last lines are the table of README.md. Refusals are results.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

EVALUATION = "eval/c4_en-validation/CrossEntropyLoss"
TARGETS = {"peteish7_eval_anneal": (6887575552, 3945065873408), "peteish13_eval_final": (13202396160, 5000088518656)}
LADDER = [f"{size}-{length}xC" for size in ("190M", "370M", "760M", "1B") for length in (1, 2, 5, 10)]
# Warm-up to 3e-4 over 2,160 steps; constant from there (Luo et al. 2025). L0, A, alpha and B of its published law,
# which at a constant rate is L0 + B 3e-4 + A S^-alpha with S the sum of the learning rates.
PEAK, WARM_UP = 3e-4, 2160
MULTI_POWER = {
    "25M": (3.04045406, 0.52468604, 0.50786857, 363.78751622),
    "100M": (2.6514477, 0.60115152, 0.45295811, 437.9464276),
    "400M": (2.37474466, 0.65421216, 0.42878731, 523.42464371),
}
OLMO = {"E": 0.93437543, "A": 12.4828, "B": 33.4768, "alpha": 0.10360292, "beta": 0.16196853}
BASE = {
    "E": 1.8691438,
    "A": 520.8254,
    "B": 1487.716,
    "alpha": 0.3526596,
    "beta": 0.3526596,
}  # e^.6254804, e^6.255414, …
REPETITION = {"R_D": 15.387756, "R_N": 5.309743}


def last_evaluations(rows: Sequence[Mapping[str, str]], run: str, count: int = 5) -> float:
    """Mean of the last `count` evaluations of a run, as the paper takes its loss."""
    losses = [float(row[EVALUATION]) for row in rows if row["run"] == run][-count:]
    return sum(losses) / len(losses)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def olmo_table(data: Path, output: Path) -> Path:
    """16 runs of the ladder and, far beyond them, the two models they were meant to predict."""
    with (data / "OLMo-ladder" / "ladder_ce_losses.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    final = {row["run"]: row for row in rows}
    table: list[tuple[object, ...]] = [
        (run, final[run]["n_params"], final[run]["throughput/total_tokens"], last_evaluations(rows, run), "ladder")
        for run in LADDER
    ]
    table += [(run, n, d, last_evaluations(rows, run), "target") for run, (n, d) in TARGETS.items()]
    return write_table(output / "olmo.csv", ("run", "N", "D", "loss", "part"), table)


def curve_table(data: Path, output: Path, size: str, steps: int) -> Path:
    """A curve at constant rate against the sum of its learning rates, warm-up included."""
    with (data / "MultiPowerLaw" / f"{size}_constant_{steps}.csv").open(encoding="utf-8") as file:
        rows = [(PEAK * (float(r["step"]) - WARM_UP / 2), r["loss"]) for r in csv.DictReader(file)]
    return write_table(output / f"constant_{size}_{steps}.csv", ("X", "loss"), rows)


def cosine_table(data: Path, output: Path) -> Path:
    """The six finished cosine runs: three sizes, two horizons."""
    rows: list[tuple[object, ...]] = []
    for size in ("25M", "100M", "400M"):
        for steps in (24000, 72000):
            with (data / "MultiPowerLaw" / f"{size}_cosine_{steps}.csv").open(encoding="utf-8") as file:
                rows.append((float(size[:-1]) * 1e6, steps, list(csv.DictReader(file))[-1]["loss"]))
    return write_table(output / "cosine.csv", ("N", "S", "loss"), rows)


def call(command: str, table: Path, *options: str) -> dict[str, Any] | str:
    """The JSON of a command of the command line, or its one line of refusal."""
    output = table.with_name(f"{command}.json")
    arguments = [command, str(table), *options, "--json", str(output)]
    print(f"$ scaling-lab {' '.join(arguments)}", flush=True)
    result = subprocess.run(
        [sys.executable, "-m", "scaling_lab", *arguments], capture_output=True, text=True, check=False
    )
    if result.returncode == 2:
        return result.stderr.strip().split(": ", 2)[-1]
    result.check_returncode()
    document: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return document


def fit_row(name: str, published: Mapping[str, float], table: Path, *options: str) -> None:
    """Estimates with their 90 % intervals, each beside the published value and whether the interval holds it."""
    found = call("fit", table, *options)
    if isinstance(found, str):
        print(f"| {name} | refused | {found} | |")
        return
    objective = found["objective"]
    kind = f"{objective['name']} {objective['delta']:g}" if objective["delta"] else objective["name"]
    print(f"| {name} | {kind} | objective {objective['value']:.6g}, {found['provenance']['rows']['used']} rows | |")
    for parameter, entry in estimates(found, table.with_name("fit.draws.parquet")).items():
        held = entry["interval"]
        span = f"{held['low']:.4g} to {held['high']:.4g}" if held else "none"
        says = ""
        if parameter in published:
            inside = held and held["low"] <= published[parameter] <= held["high"]
            says = f"{published[parameter]:.5g}, {'inside' if inside else 'OUTSIDE'}"
        print(f"| | {parameter} | {entry['value']:.5g} ({span}) | {says} |")
    for warning in found["diagnostics"]["warnings"]:
        print(f"| | warning | {warning} | |")


def estimates(found: Mapping[str, Any], draws: Path) -> dict[str, Any]:
    """Parameters and derived quantities; A X^-alpha for (Xc / X)^alpha, as Luo et al. write it."""
    entries = {**found["parameters"], **found["derived"]}
    if "Xc" in entries:
        table = pq.read_table(draws)
        low, high = np.quantile(table["Xc"].to_numpy() ** table["alpha"].to_numpy(), [0.05, 0.95])
        value = entries.pop("Xc")["value"] ** entries["alpha"]["value"]
        entries["A"] = {"value": value, "interval": {"low": low, "high": high}}
    return entries


def backtest_row(name: str, table: Path, *options: str) -> None:
    """What each law predicts of the runs that cost most: mean and largest error, and how many intervals held."""
    found = call("backtest", table, *options)
    if isinstance(found, str):
        print(f"| {name} | backtest refused | {found} | |")
        return
    for law, entry in found["laws"].items():
        if entry["status"] == "refused":
            print(f"| {name} | backtest of {law} | refused: {entry['reason']['message']} | |")
            continue
        mean, worst = entry["mean_absolute_relative_error"], entry["largest_absolute_relative_error"]
        text = f"mean error {mean:.2%}, largest {worst:.2%}, {entry['coverage']:.0%} of {entry['n']} intervals held"
        print(f"| {name} | backtest of {law} | {text} | |")
        for row in [row for row in found["rows"] if row["law"] == law][: 3 if entry["n"] <= 3 else 0]:
            print(f"| | {row['run']} | {row['predicted']:.4f} ({row['low']:.4f} to {row['high']:.4f}) | "
                  f"{row['measured']:.4f} measured, {row['relative_error_percent']:+.2f} % |")  # fmt: skip


def compare_row(name: str, table: Path, *options: str) -> None:
    """The forms by AICc, and the mean error of their hold-out."""
    found = call("compare", table, *options)
    if isinstance(found, str):
        print(f"| {name} | compare refused | {found} | |")
        return
    for law, entry in found["laws"].items():
        hold_out = entry["hold_out"]
        ahead = f"{hold_out['mean_absolute_relative_error']:.2%}" if hold_out["status"] == "ok" else "refused"
        text = f"AICc {entry['aicc']:.1f}" if entry["status"] == "ok" else f"refused: {entry['reason']['message']}"
        print(f"| {name} | compare {law} | {text}; hold-out {ahead} | |")


def fixed(values: Mapping[str, float]) -> list[str]:
    return [text for name, value in values.items() for text in ("--fix", f"{name}={value}")]


def olmo(data: Path, output: Path) -> None:
    table = olmo_table(data, output)
    ladder, run = ("--where", "part=ladder"), ("--run", "run")
    for objective in ("huber", "squares"):
        options = ("--law", "hoffmann", *run, *ladder, "--objective", objective)
        fit_row("OLMo ladder", OLMO, table, *options)
    backtest_row("OLMo ladder, largest size", table, "--law", "hoffmann", "--law", "kaplan", "--law", "gadre", *run,
                 *ladder, "--factor", "4")  # fmt: skip
    backtest_row("OLMo 7B and 13B", table, "--law", "hoffmann", "--law", "kaplan", "--law", "gadre", *run,
                 "--factor", "100")  # fmt: skip
    compare_row("OLMo ladder", table, *run, *ladder, "--factor", "4")


def curves(data: Path, output: Path) -> None:
    for size, (limit, amplitude, exponent, drop) in MULTI_POWER.items():
        published = {"E": limit + drop * PEAK, "A": amplitude, "alpha": exponent}
        short, long = (curve_table(data, output, size, steps) for steps in (24000, 72000))
        for objective in ("huber", "squares"):
            fit_row(f"MultiPowerLaw {size}", published, short, "--law", "power_offset", "--objective", objective)
        laws = ("--law", "power_offset", "--law", "power", "--factor", "3")
        backtest_row(f"MultiPowerLaw {size}", long, *laws)
        compare_row(f"MultiPowerLaw {size}", long, *laws)
    table = cosine_table(data, output)
    fit_row("MultiPowerLaw, cosine ends", {}, table, "--law", "kaplan_steps", "--column", "S=S")


def repeated(data: Path, output: Path) -> None:
    source = data / "datablations" / "runs_182_used_in_fit.csv"
    table = output / "datablations.csv"
    table.write_bytes(source.read_bytes())
    columns = ("--params", "params", "--tokens", "tokens", "--column", "U=unique_tokens", "--loss", "val_loss")
    law = (*columns, "--run", "run", "--law", "data_constrained")
    fit_row("datablations, base fixed", REPETITION, table, *law, *fixed(BASE))
    fit_row("datablations, base and R_N fixed", REPETITION, table, *law, *fixed(BASE | {"R_N": REPETITION["R_N"]}))
    fit_row("datablations, all free", BASE | REPETITION, table, *law)
    fit_row("datablations, all free", BASE | REPETITION, table, *law, "--objective", "squares")
    fit_row("datablations, no decay of N", BASE | REPETITION, table, *law, *fixed({"R_N": 1e9}))
    largest = ("--factor", "4", "--bootstrap", "200")
    backtest_row("datablations, base fixed", table, *law, *fixed(BASE), *largest)
    backtest_row("datablations, no decay of N", table, *law, *fixed({"R_N": 1e9}), *largest)
    compare_row("datablations", table, *columns, "--run", "run", "--law", "hoffmann", "--law", "kaplan",
                "--law", "data_constrained", "--objective", "squares", *largest)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, default=None, help="where the prepared tables stay (default: nowhere)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        output = chosen.output or Path(scratch)
        output.mkdir(parents=True, exist_ok=True)
        for study in (olmo, curves, repeated):
            study(chosen.data, output)


if __name__ == "__main__":
    main()

"""`scaling-lab dry-run`: what an experiment costs before anything runs, and what of it is already done."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from scaling_lab.config import Config
from scaling_lab.datasets import SIMULATED
from scaling_lab.errors import ConfigError
from scaling_lab.experiment import Experiment, load_experiment
from scaling_lab.overrides import merged
from scaling_lab.progress import START_UP_FLOPS, Task, training_tasks, work
from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.hardware import Hardware
from scaling_lab.spec import RunSpec
from scaling_lab.trunks import flops_spent

# Of finished runs, spread evenly over all: enough to know a machine by.
MEASURED_RUNS = 100
# Weights and the two moments of Adam in fp32, in a run's last two checkpoints.
CHECKPOINT_BYTES_PER_PARAM = 24


@dataclass(frozen=True)
class Machine:
    """How long a run takes: FLOP/s of one job, of which `jobs` train at once.

    whole_work: whether `flops_per_s` counts what is not FLOPs too, as measured ones do (`progress.work`).
    """

    name: str
    flops_per_s: float
    jobs: int
    whole_work: bool

    def seconds(self, task: Task) -> float:
        """Of one job."""
        return (task.work if self.whole_work else task.flops) / self.flops_per_s


@dataclass(frozen=True)
class Cost:
    """Runs of a study, how many of them earlier studies train as well, and those that have a result."""

    name: str
    runs: Mapping[str, RunSpec]
    shared: int
    done: frozenset[str]

    @property
    def left(self) -> list[RunSpec]:
        """Runs that are still to be trained."""
        return [spec for run, spec in self.runs.items() if run not in self.done]


def read_configuration(root: Path, overlays: Sequence[Path]) -> dict[str, Any]:
    """`config/config.yaml` of the repository at `root` with the overlays in order, as `--configfile` merges them.

    Raises:
        ConfigError: a file is missing or is no mapping.
    """
    raw: dict[str, Any] = {}
    for path in (root / "config" / "config.yaml", *overlays):
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; run in the clone, or name it with --root")
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
        if not isinstance(content, dict):
            raise ConfigError(f"{path}: must be a mapping, not {type(content).__name__}")
        raw = merged(raw, content)
    return raw


def dry_run(root: Path, overlays: Sequence[Path], results: Path, hardware: Hardware | None) -> None:
    """Print the cost of each study and of all together, on `hardware` or at the speed that finished runs measured.

    Raises:
        ConfigError: naming the file, the key and what is allowed.
    """
    experiment = load_experiment(read_configuration(root, overlays), root / "config" / "studies")
    costs = study_costs(experiment, results)
    machine = machine_of(hardware, results, experiment.config)
    console = Console(width=140)
    console.print(_table(costs, machine))
    for line in _notes(experiment, costs[-1], machine):
        console.print(line, highlight=False, soft_wrap=True)


def study_costs(experiment: Experiment, results: Path) -> list[Cost]:
    """Each study's cost, and last that of all, where a run that several ask for counts once."""
    runs = results / "runs"
    done = frozenset(run for run in experiment.runs if (runs / run / "summary.json").exists())
    costs, seen = [], set[str]()
    for name, own in experiment.study_runs.items():
        costs.append(Cost(name, own, len(seen & own.keys()), done & own.keys()))
        seen |= own.keys()
    return [*costs, Cost("all", experiment.runs, 0, done)]


def machine_of(hardware: Hardware | None, results: Path, config: Config) -> Machine:
    """The machine that was named, or this one by the runs that it finished, or what the configuration states."""
    if hardware is not None:
        name = f"{hardware.peak_flops:.4g} FLOP/s, of which {hardware.utilisation:.0%} are assumed ({hardware.source})"
        return Machine(name, hardware.peak_flops * hardware.utilisation, hardware.count, whole_work=False)
    jobs = max(1, (os.cpu_count() or 1) // config.threads)
    speed, count = measured_speed(results)
    if count:
        name = f"this machine's speed in {count} finished runs, {speed:.2g} FLOP/s"
        return Machine(name, speed, jobs, whole_work=True)
    stated = config.resources.flops_per_second
    name = f"{stated:g} FLOP/s, as resources.flops_per_second states: no run is finished here and no --device is named"
    return Machine(name, stated, jobs, whole_work=True)


def measured_speed(results: Path) -> tuple[float, int]:
    """FLOP/s of one job, other work counted in FLOPs as `progress.work` does, and the number of runs measured."""
    paths = [path for path in sorted(results.glob("runs/*/summary.json")) if SIMULATED not in path.parent.name]
    total = seconds = 0.0
    chosen = paths[:: max(1, len(paths) // MEASURED_RUNS)]
    for path in chosen:
        spec = RunSpec.from_json(path.with_name("spec.json").read_text(encoding="utf-8"))
        total += work(spec.flops("matmul"), spec.tokens) - START_UP_FLOPS
        seconds += json.loads(path.read_text(encoding="utf-8"))["wall_s"]
    return (total / seconds, len(chosen)) if seconds else (0.0, 0)


def _table(costs: Sequence[Cost], machine: Machine) -> Table:
    table = Table("study", title=f"Timed by {machine.name}", title_justify="left")
    headings = (
        "runs",
        "shared",
        "done",
        "tokens",
        "FLOPs",
        "PF-days",
        "to train",
        "one job",
        f"{machine.jobs} at once",
    )
    for heading in (*headings, "largest: N", "D"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cost in costs:
        if cost is costs[-1]:
            table.add_section()
        table.add_row(*_row(cost, machine))
    return table


def _row(cost: Cost, machine: Machine) -> list[str]:
    largest = max(cost.runs.values(), key=lambda spec: spec.flops("matmul"))
    flops = flops_spent(cost.runs.values(), "matmul")
    seconds = [machine.seconds(task) for task in training_tasks(cost.left)]
    return [
        cost.name,
        f"{len(cost.runs):,}",
        f"{cost.shared:,}",
        f"{len(cost.done):,}",
        f"{sum(spec.tokens for spec in cost.runs.values()):.3g}",
        f"{flops:.3g}",
        f"{flops / PF_DAY:.2g}",
        f"{flops_spent(cost.left, 'matmul'):.3g}",
        _duration(sum(seconds)),
        _duration(max(sum(seconds) / machine.jobs, max(seconds, default=0.0))),
        f"{largest.architecture.shape.params_non_embedding:.3g}",
        f"{largest.tokens:.3g}",
    ]


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}" if seconds >= 100 * size else f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s"


def _notes(experiment: Experiment, total: Cost, machine: Machine) -> list[str]:
    """What the table does not say: how FLOPs are counted, epochs, disk, texts, simulation."""
    lines = [
        "FLOPs: of training, all matrix products (matmul). `shared`: trained for a study above as well; `all` counts"
        " each once, as it does a trunk that runs share. Times are of what is still to train."
    ]
    lines += _epochs(total)
    if experiment.config.simulate:
        law = experiment.config.simulate
        return [*lines, f"[red]SIMULATED by {law}: nothing is trained, so nothing of this is spent.[/red]"]
    params = sum(spec.architecture.shape.params_total for spec in total.runs.values())
    stores = dict.fromkeys(experiment.datasets, 0)
    for spec in total.runs.values():
        width = 2 if spec.architecture.vocab_size <= 1 << 16 else 4
        stores[spec.dataset] = max(stores[spec.dataset], width * spec.data_tokens)
    lines.append(
        f"Disk: checkpoints {CHECKPOINT_BYTES_PER_PARAM * params / 1e9:.3g} GB;"
        f" tokens that runs read {sum(stores.values()) / 1e9:.3g} GB in {len(stores)} dataset(s): {', '.join(stores)}."
    )
    try:
        _ = experiment.texts
    except ConfigError as error:
        lines.append(f"[red]{error}; planned without it[/red]")
    return lines


def _epochs(total: Cost) -> list[str]:
    """How often runs pass over their text, where any does so more than once."""
    passes: dict[int, float] = {}
    for spec in total.runs.values():
        if spec.unique_tokens is not None:
            passes[spec.unique_tokens] = max(passes.get(spec.unique_tokens, 0.0), spec.tokens / spec.unique_tokens)
    told = (f"{unique:.3g} tokens up to {epochs:.3g} times" for unique, epochs in sorted(passes.items()))
    return [f"Epochs, unless a run stops early: {', '.join(told)}."] if passes else []

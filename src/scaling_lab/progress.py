"""How far a study is: read from the progress files of its runs, weighed by their cost. Imports nothing heavy."""

import fcntl
import json
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count, repeat, takewhile
from pathlib import Path
from typing import TextIO

from scaling_lab.errors import ScalingLabError
from scaling_lab.failures import last_words, slurm_verdicts
from scaling_lab.spec import RunSpec
from scaling_lab.trunks import find_trunks, flops_spent, own_tokens

# What a run costs besides its FLOPs, in FLOPs of one core: starting Python and Lightning, and the work on each token
# that no matrix product counts. Only ratios matter: the time left is scaled by the progress so far.
START_UP_FLOPS = 2.5e11
FLOPS_PER_TOKEN = 2.5e5

# States in which nothing of a task is left to do.
FINISHED = ("done", "diverged", "simulated")

_held: list[TextIO] = []


def hold_results_lock(results: Path) -> None:
    """Refuse a second workflow on the same results. The kernel frees the lock when its holder dies, however it dies.

    Raises:
        ScalingLabError: another process holds it.
    """
    results.mkdir(parents=True, exist_ok=True)
    lock = (results / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ScalingLabError(
            f"{results.resolve()}: another workflow is running here; wait for it or stop it"
        ) from None
    _held.append(lock)


@dataclass(frozen=True)
class Task:
    """What one job trains, from `start` to `end` tokens: a run, the cooldown of one, or a segment of a trunk.

    folder: with the progress file and the lock; finished: exists when it is done. Both below `results`.
    """

    name: str
    is_run: bool
    folder: Path
    finished: Path
    start: int
    end: int
    flops: float
    simulated: bool = False

    @property
    def work(self) -> float:
        """What it costs in FLOPs, with what is not FLOPs."""
        return work(self.flops, self.end - self.start)


def work(flops: float, tokens: int) -> float:
    """Cost of a training job in FLOPs, start-up and what every token costs besides counted in FLOPs too."""
    return START_UP_FLOPS + flops + FLOPS_PER_TOKEN * tokens


def training_tasks(specs: Iterable[RunSpec]) -> list[Task]:
    """The jobs that train all of `specs`: segments of trunks, each once, then a job for each run."""
    specs = list(specs)
    segments = [
        _segment_task(name, trunk.segment(end), start)
        for name, trunk in find_trunks(specs).items()
        for start, end in trunk.segments
    ]
    return segments + [_run_task(spec) for spec in specs]


def _run_task(spec: RunSpec) -> Task:
    folder, start = Path("runs") / spec.run_id, spec.tokens - own_tokens(spec)
    return Task(
        spec.run_id,
        True,
        folder,
        folder / "summary.json",
        start,
        spec.tokens,
        _flops(spec, start),
        spec.simulate is not None,
    )


def _segment_task(trunk: str, segment: RunSpec, start: int) -> Task:
    folder = Path("trunks") / trunk / str(segment.tokens)
    name = f"trunk-{segment.run_id}"
    return Task(name, False, folder, folder.with_suffix(".json"), start, segment.tokens, _flops(segment, start))


def _flops(spec: RunSpec, start: int) -> float:
    """FLOPs of training from `start` tokens on."""
    return spec.flops("matmul") * (1 - start / spec.tokens)


@dataclass(frozen=True)
class TaskProgress:
    """State of a task: `done`, `diverged`, `simulated` (done, without training), `running`, `stopped` (has a
    checkpoint, nobody trains it) or `waiting`.
    """

    task: Task
    state: str
    fraction: float
    train_loss_nats: float | None
    seconds_left: float | None


def _outcome(task: Task, finished: Path) -> str:
    if task.simulated:
        return "simulated"
    diverged = json.loads(finished.read_text(encoding="utf-8")).get("status") == "diverged"
    return "diverged" if diverged else "done"


def read_progress(task: Task, results: Path) -> TaskProgress:
    """Progress of one task from the files in its folder."""
    folder = results / task.folder
    finished = results / task.finished
    if finished.exists():
        return TaskProgress(task, _outcome(task, finished), 1.0, None, 0.0)
    try:
        state = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return TaskProgress(task, "waiting", 0.0, None, None)
    fraction = max(0.0, (state["tokens"] - task.start) / (task.end - task.start))
    left = state["seconds"] * (state["of_tokens"] / state["tokens"] - 1)
    name = "running" if _is_locked(folder / ".lock") else "stopped"
    return TaskProgress(task, name, fraction, state["train_loss_nats"], left)


def _is_locked(path: Path) -> bool:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def work_done(tasks: Iterable[Task], results: Path) -> tuple[float, list[TaskProgress]]:
    """Cost that is behind us, and the progress of each task."""
    progress = [read_progress(task, results) for task in tasks]
    return sum(p.fraction * p.task.work for p in progress), progress


def follow_progress(runs: Mapping[str, RunSpec], results: Path, every_s: float = 15) -> None:
    """Print a line about the training on standard error, soon after it begins and then every `every_s` seconds, from a
    thread that dies with the process.
    """
    tasks = training_tasks(runs.values())
    threading.Thread(target=_follow, args=(tasks, results, every_s), daemon=True).start()


def _follow(tasks: list[Task], results: Path, every_s: float) -> None:
    total = sum(task.work for task in tasks)
    at_start, _ = work_done(tasks, results)
    told, began = at_start, None
    for pause in chain(takewhile(lambda s: s < every_s, (2.0**k for k in count())), repeat(every_s)):
        time.sleep(pause)
        done, progress = work_done(tasks, results)
        # Runs of a second are done between two looks: that the work grew tells of them too.
        if done > told or any(p.state == "running" for p in progress):
            began = began or time.monotonic() - pause
            rate = (done - at_start) / (time.monotonic() - began)
            print(describe(progress, done, total, (total - done) / rate if rate else None), file=sys.stderr, flush=True)
            told = done


def describe(progress: list[TaskProgress], done: float, total: float, seconds_left: float | None) -> str:
    """One line: runs finished, share of the work, time left, and what is running."""
    running = [p for p in progress if p.state == "running"]
    runs = [p for p in progress if p.task.is_run]
    finished = sum(p.state in FINISHED for p in runs)
    diverged = sum(p.state == "diverged" for p in runs)
    lost = f" ({diverged} diverged)" if diverged else ""
    left = "" if seconds_left is None else f", about {_minutes(seconds_left)} of training left"
    now = "; ".join(f"{p.task.name.rsplit('-', 1)[0]} {p.fraction:.0%} loss {p.train_loss_nats:.3f}" for p in running)
    simulated = any(p.state == "simulated" for p in progress)
    heading = "[simulated, nothing is trained]" if simulated else "[training]"
    return f"{heading} {finished}/{len(runs)} runs{lost}, {done / total:.0%} of the work{left}{now and f' | {now}'}"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def print_status(results: Path) -> None:
    """Print the state of every run that has a spec under `results`, and how much of the training is done.

    Raises:
        ScalingLabError: there are no runs.
    """
    specs = [RunSpec.from_json(p.read_text(encoding="utf-8")) for p in sorted(results.glob("runs/*/spec.json"))]
    if not specs:
        raise ScalingLabError(f"{results}/runs: no runs here; give the results folder with --results")
    tasks = training_tasks(specs)
    done, progress = work_done(tasks, results)
    verdicts = slurm_verdicts(results)
    for p in progress:
        loss = "" if p.train_loss_nats is None else f"  loss {p.train_loss_nats:.3f}"
        left = f"  {_minutes(p.seconds_left)} left" if p.seconds_left and p.state == "running" else ""
        print(f"{p.state:9} {p.fraction:5.0%}  {p.task.name}{loss}{left}")
        if p.state in ("stopped", "waiting"):
            reasons = filter(None, (verdicts.get(p.task.name), last_words(p.task.name, results)))
            print("".join(f"{'':17}{reason}\n" for reason in reasons), end="")
    print(describe(progress, done, sum(task.work for task in tasks), None))
    if trained := [spec for spec in specs if spec.simulate is None]:
        print(describe_cost(trained))


def describe_cost(specs: Iterable[RunSpec]) -> str:
    """One line: what the runs cost, and what their trunks save."""
    specs = list(specs)
    spent, apart = flops_spent(specs, "matmul"), sum(spec.flops("matmul") for spec in specs)
    saved = f", {spent / apart:.0%} of {apart:.3g} without shared trunks" if spent < apart else ""
    return f"[cost] {spent:.3g} training FLOPs (every matrix product){saved}"

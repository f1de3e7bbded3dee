"""How far a study is: read from the progress files of its runs, weighed by their cost. Imports nothing heavy."""

import fcntl
import json
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TextIO

from scaling_lab.errors import ScalingLabError
from scaling_lab.failures import last_words, slurm_verdicts
from scaling_lab.resources import training_work
from scaling_lab.spec import RunSpec

# Starting Python and Lightning, in FLOPs of one core. Only ratios matter: progress so far scales the time left.
START_UP_FLOPS = 2.5e11

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
class RunProgress:
    """State of one run: `done`, `running`, `stopped` (has a checkpoint, nobody trains it) or `waiting`."""

    run: str
    state: str
    fraction: float
    train_loss_nats: float | None
    seconds_left: float | None


def read_progress(spec: RunSpec, results: Path) -> RunProgress:
    """Progress of one run from the files in its folder."""
    folder = results / "runs" / spec.run_id
    if (folder / "summary.json").exists():
        return RunProgress(spec.run_id, "done", 1.0, None, 0.0)
    try:
        state = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return RunProgress(spec.run_id, "waiting", 0.0, None, None)
    fraction = state["tokens"] / state["of_tokens"]
    left = state["seconds"] * (1 / fraction - 1)
    name = "running" if _is_locked(folder / ".lock") else "stopped"
    return RunProgress(spec.run_id, name, fraction, state["train_loss_nats"], left)


def _is_locked(path: Path) -> bool:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def work(spec: RunSpec) -> float:
    """Cost of a run in FLOPs, with what is not FLOPs."""
    return START_UP_FLOPS + training_work(spec)


def work_done(runs: Mapping[str, RunSpec], results: Path) -> tuple[float, list[RunProgress]]:
    """Cost that is behind us, and the progress of each run."""
    progress = [read_progress(spec, results) for spec in runs.values()]
    return sum(p.fraction * work(runs[p.run]) for p in progress), progress


def follow_progress(runs: Mapping[str, RunSpec], results: Path, every_s: float = 15) -> None:
    """Print a line about the training on standard error now and then, from a thread that dies with the process."""
    threading.Thread(target=_follow, args=(runs, results, every_s), daemon=True).start()


def _follow(runs: Mapping[str, RunSpec], results: Path, every_s: float) -> None:
    total = sum(map(work, runs.values()))
    at_start, _ = work_done(runs, results)
    began: float | None = None
    while True:
        time.sleep(every_s)
        done, progress = work_done(runs, results)
        if any(p.state == "running" for p in progress):
            began = began or time.monotonic() - every_s
            rate = (done - at_start) / (time.monotonic() - began)
            print(describe(progress, done, total, (total - done) / rate if rate else None), file=sys.stderr, flush=True)


def describe(progress: list[RunProgress], done: float, total: float, seconds_left: float | None) -> str:
    """One line: runs finished, share of the work, time left, and what is running."""
    running = [p for p in progress if p.state == "running"]
    finished = sum(p.state == "done" for p in progress)
    left = "" if seconds_left is None else f", about {_minutes(seconds_left)} of training left"
    now = "; ".join(f"{p.run.rsplit('-', 1)[0]} {p.fraction:.0%} loss {p.train_loss_nats:.3f}" for p in running)
    return f"[training] {finished}/{len(progress)} runs, {done / total:.0%} of the work{left} | {now}"


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
    runs = {spec.run_id: spec for spec in specs}
    done, progress = work_done(runs, results)
    verdicts = slurm_verdicts(results)
    for p in progress:
        loss = "" if p.train_loss_nats is None else f"  loss {p.train_loss_nats:.3f}"
        left = f"  {_minutes(p.seconds_left)} left" if p.seconds_left and p.state == "running" else ""
        print(f"{p.state:8} {p.fraction:5.0%}  {p.run}{loss}{left}")
        if p.state in ("stopped", "waiting"):
            reasons = filter(None, (verdicts.get(p.run), last_words(p.run, results)))
            print("".join(f"{'':16}{reason}\n" for reason in reasons), end="")
    print(describe(progress, done, sum(map(work, specs)), None))
    if speeds := _speeds(runs, results):
        print(f"[speed] {median(speeds):.2g} FLOP/s, the median of finished runs: for `resources.flops_per_second`")


def _speeds(runs: Mapping[str, RunSpec], results: Path) -> list[float]:
    """FLOP/s of each finished run that took time, as `expected_seconds` counts its work."""
    paths = {run: results / "runs" / run / "summary.json" for run in runs}
    seconds = {
        run: json.loads(path.read_text(encoding="utf-8"))["wall_s"] for run, path in paths.items() if path.exists()
    }
    return [training_work(runs[run]) / wall for run, wall in seconds.items() if wall]

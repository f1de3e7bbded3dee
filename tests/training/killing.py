"""Trains runs in forked children and kills them at random instants: one import of Lightning for all of them.

Called as a script with a `Plan` as JSON; prints what it did as JSON.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from scaling_lab.errors import InterruptedTrainingError
from scaling_lab.spec import RunSpec
from scaling_lab.training.run import train  # no torch operation before the forks


@dataclass(frozen=True)
class Plan:
    """Kill children that train `spec` until `kills` of them were hit, in as many runs under `folder` as it takes."""

    spec: str
    dataset: str
    folder: str
    kills: int
    seed: int


def start(plan: Plan, run: Path) -> int:
    """Fork a child that trains into `run` with a checkpoint after every chunk; its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        train(RunSpec.from_json(plan.spec), Path(plan.dataset), run, threads=1, checkpoint_seconds=0)
        code = 0
    except InterruptedTrainingError as error:
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(child: int) -> int:
    """Exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def has_ended(child: int) -> bool:
    """Whether a child has ended; it can still be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def kill(child: int, after_s: float, number: signal.Signals) -> int:
    """Send a signal after a while, if the child still runs, and wait for it."""
    deadline = time.monotonic() + after_s
    while time.monotonic() < deadline and not has_ended(child):
        time.sleep(0.001)
    if not has_ended(child):
        os.kill(child, number)
    return wait(child)


def main(plan: Plan) -> dict[str, object]:
    """The exit codes of killed children by signal, and the number of runs that were finished in spite of them."""
    began = time.monotonic()
    assert wait(start(plan, Path(plan.folder) / "whole")) == 0
    length = time.monotonic() - began
    chance = random.Random(plan.seed)
    codes: dict[str, list[int]] = {"SIGKILL": [], "SIGTERM": []}
    runs, hits = 0, 0
    while hits < plan.kills:
        number = chance.choice([signal.SIGKILL, signal.SIGTERM])
        code = kill(start(plan, Path(plan.folder) / str(runs)), chance.uniform(0, length), number)
        codes[number.name].append(code)
        hits += code != 0
        runs += code == 0
    assert wait(start(plan, Path(plan.folder) / str(runs))) == 0
    return {"codes": codes, "runs": runs + 1, "kills": hits}


def run_plan(plan: Plan) -> dict[str, object]:
    """Run a plan in a process of its own, which has not touched torch when it forks."""
    result = subprocess.run([sys.executable, __file__, json.dumps(asdict(plan))], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr, result.stderr
    outcome: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return outcome


if __name__ == "__main__":
    print(json.dumps(main(Plan(**json.loads(sys.argv[1])))))

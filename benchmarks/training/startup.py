"""Seconds per cell of the default study besides training: `scaling-lab train` from start to end, less the training.

python benchmarks/training/startup.py [--cells 48]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import write_store

from scaling_lab.experiment import load_experiment
from scaling_lab.spec import RunSpec, canonical_json

STUDIES = Path(__file__).parents[2] / "config" / "studies"
STEPS = 16


def specs() -> list[RunSpec]:
    """The cells of the default study, cut to a few steps: what a start costs does not depend on what follows."""
    return [
        spec.model_copy(update={"tokens": STEPS * spec.batch_tokens})
        for spec in load_experiment({}, STUDIES).runs.values()
    ]


def without_evaluation(spec: RunSpec) -> RunSpec:
    """The same with one context of each set: what is left is the start and the end."""
    context = spec.architecture.context
    few = spec.evaluation.model_copy(update={"tokens": context, "transfer_tokens": context})
    return spec.model_copy(update={"evaluation": few})


def seconds_besides_training(spec: RunSpec, store: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.json"
        path.write_text(canonical_json(spec))
        start = time.monotonic()
        command = [str(Path(sys.executable).parent / "scaling-lab"), "train", str(path), "--dataset", str(store)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        wall = time.monotonic() - start
        return wall - float(json.loads((path.parent / "summary.json").read_text())["wall_s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=48)
    cells = specs()[: parser.parse_args().cells]
    vocabulary = cells[0].architecture.vocab_size
    with tempfile.TemporaryDirectory() as folder:
        sets = {name for spec in cells for name in spec.evaluation.sets}
        write_store(Path(folder), max(spec.tokens for spec in cells) + 1, vocabulary, sorted(sets))
        store = Path(folder) / "manifest.json"
        bare = [seconds_besides_training(without_evaluation(spec), store) for spec in cells]
        whole = [seconds_besides_training(spec, store) for spec in cells]
    print(f"{len(cells)} cells; load {os.getloadavg()[0]:.1f}")
    print(f"start and end: first {bare[0]:.2f} s, {middle(bare)}")
    print(f"with the evaluations: {middle(whole)}")


def middle(seconds: list[float]) -> str:
    return f"median {statistics.median(seconds):.2f} s, mean {statistics.mean(seconds):.2f} s"


if __name__ == "__main__":
    main()

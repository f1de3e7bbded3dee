"""Trunk + cooldowns against cosine runs tuned per horizon: trains what results.jsonl lacks.

    python benchmarks/schedules/run.py results/tokens/prose-bpe1024-3aaa22db

Every run has its own line in results.jsonl, so that an interrupted measurement goes on. `table.py` reads it, and
README.md says what was found.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from scaling_lab.architectures import TransformerSpec
from scaling_lab.corpus.store import TokenStore
from scaling_lab.spec import EvaluationSpec, OptimizerSpec, RunSpec, ScheduleSpec
from scaling_lab.training.data import TrainingStream, evaluation_windows
from scaling_lab.training.evaluation import loss_by_position
from scaling_lab.training.models import build_model
from scaling_lab.training.optimizer import build_optimizer, set_learning_rate
from scaling_lab.training.schedule import learning_rate

RESULTS = Path(__file__).with_name("results.jsonl")
HORIZONS = tuple(500 * 512 << k for k in range(4))  # 0.256 to 2.048 M tokens
BATCH, WARMUP = 512, 64 * 512
SIZES = {"L1d32": (1, 32, 2), "L1d48": (1, 48, 4), "L2d64": (2, 64, 4)}
ALL = tuple(SIZES)
QUARTER = ((0.25, "sqrt"),)
SHORT = ((0.2, "sqrt"), *QUARTER)
SHAPES = (*SHORT, (0.25, "linear"), (0.25, "square"), (0.4, "sqrt"), (0.4, "linear"))
# (schedule, peak rate as a multiple of 0.19 N^-0.32, seed, sizes, cooldowns as (share, shape)).
GROUPS = (
    ("wsd", 1.0, 0, ALL, SHORT),
    ("cosine", 2.0, 0, ALL, ()),
    ("wsd", 2.0, 0, ALL, SHORT),
    ("cosine", 1.0, 0, ALL, ()),
    ("wsd", 1.0, 0, ("L1d32",), SHAPES),
    ("cosine", 2.0, 1, ALL, ()),
    ("wsd", 1.0, 1, ALL, QUARTER),
    ("rsqrt", 4.0, 0, ALL, QUARTER),
    ("rsqrt", 4.0, 1, ("L1d32",), QUARTER),
    ("cosine", 4.0, 0, ("L1d32",), ()),
)


def specs_of(
    schedule: str, multiple: float, seed: int, size: str, cooldowns: tuple[tuple[float, str], ...], dataset: str
) -> list[RunSpec]:
    """The runs of a group: every horizon, and for a trunk every cooldown, in the order of their branch points."""
    n_layer, d_model, n_head = SIZES[size]
    architecture = TransformerSpec(
        n_layer=n_layer, d_model=d_model, n_head=n_head, d_ff=4 * d_model, context=128, vocab_size=1024
    )
    rate = float(f"{multiple * 0.19 * architecture.shape.params_non_embedding**-0.32:.4g}")
    kinds: list[dict[str, Any]] = [{"name": "cosine"}]
    if cooldowns:
        shares = [{"cooldown_fraction": share, "cooldown_shape": shape} for share, shape in cooldowns]
        kinds = [{"name": schedule, "trunk": True, **share} for share in shares]
    specs = [
        RunSpec(
            dataset=dataset,
            architecture=architecture,
            tokens=tokens,
            batch_tokens=BATCH,
            optimizer=OptimizerSpec(learning_rate=rate),
            schedule=ScheduleSpec(warmup_tokens=WARMUP, **kind),
            evaluation=EvaluationSpec(sets=("validation",), tokens=2**17, transfer_tokens=1024, points=1),
            seed=seed,
        )
        for tokens in HORIZONS
        for kind in kinds
    ]
    return sorted(specs, key=lambda spec: spec.branch_tokens)


class Training:
    """A model on its way: goes on by a spec's schedule up to a step, and can be copied."""

    def __init__(self, spec: RunSpec) -> None:
        torch.manual_seed(spec.seed)
        self.model = build_model(spec.architecture)
        self.optimizer = build_optimizer(self.model, spec.optimizer)
        self.step, self.cpu_s = 0, 0.0

    def advance(self, spec: RunSpec, stream: TrainingStream, stop: int) -> None:
        begin = time.process_time()
        for step in range(self.step, stop):
            set_learning_rate(self.optimizer, learning_rate(spec, step * spec.batch_tokens))
            windows_BT = stream.batches(step, step + 1)[0]
            self.model(windows_BT[:, :-1], windows_BT[:, 1:]).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), spec.optimizer.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.step = stop
        self.cpu_s += time.process_time() - begin


def train_group(specs: list[RunSpec], done: set[str], store: TokenStore) -> Iterator[tuple[RunSpec, Training]]:
    """Train runs of one schedule and rate: cosine runs each from the start, trunk runs from their common trunk."""
    trunk = Training(specs[0])
    for spec in specs:
        if spec.run_id in done:
            continue
        if not spec.schedule.trunk:
            trunk = Training(spec)
        stream = TrainingStream(store, spec)
        trunk.advance(spec, stream, spec.branch_tokens // BATCH)
        run = copy.deepcopy(trunk)
        run.advance(spec, stream, spec.steps)
        yield spec, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path, help="folder of the token store")
    dataset = parser.parse_args().dataset
    torch.set_num_threads(1)
    store = TokenStore(dataset / "manifest.json")
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    done = {json.loads(line)["run"] for line in lines}
    for schedule, multiple, seed, sizes, cooldowns in GROUPS:
        for size in sizes:
            specs = specs_of(schedule, multiple, seed, size, cooldowns, dataset.name)
            if all(spec.run_id in done for spec in specs):
                continue
            for spec, run in train_group(specs, done, store):
                loss = loss_by_position(run.model, evaluation_windows(store, "validation", spec)).mean().item()
                row = {
                    "run": spec.run_id,
                    "schedule": schedule,
                    "size": size,
                    "multiple": multiple,
                    "cooldown": [spec.schedule.cooldown_fraction, spec.schedule.cooldown_shape],
                    "tokens": spec.tokens,
                    "seed": seed,
                    "loss": loss,
                    "cpu_s": round(run.cpu_s, 1),
                }
                with RESULTS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(row, flush=True)


if __name__ == "__main__":
    main()

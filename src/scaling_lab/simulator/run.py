"""Draw one run from planted laws: the files that training leaves, marked as simulated. Imports no torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scaling_lab.errors import ConfigError
from scaling_lab.files import atomic_path, write_text
from scaling_lab.science.laws import Array
from scaling_lab.science.positions import binned, position_bins
from scaling_lab.simulator.planted import BYTES_PER_TOKEN, PLANTED, VOCABULARY, PlantedLaws
from scaling_lab.spec import RunSpec
from scaling_lab.training.curves import CURVE_ROWS, SCHEMA, evaluation_steps
from scaling_lab.training.history import SMOOTHING_SHARE
from scaling_lab.training.schedule import learning_rate
from scaling_lab.training.summary import Outcome, evaluation, summarize

# Standard deviations of the logarithm of a loss. No paper states them as such: Kaplan et al. 2020 work with a threshold
# of 0.02 nats between runs (section 4); seeds of small models differ by 0.3 % here.
SEED_NOISE, SET_NOISE, STEP_NOISE = 0.003, 0.0003, 0.01
# Nats above the test set. Kaplan et al. 2020 find a constant for each text (section 3.2.2); these values are ours.
OFFSETS = {
    "validation": 0.0,
    "test": 0.0,
    "unseen": 0.1,
    "sample": 0.15,
    "sotu": 0.2,
    "books": 0.25,
    "wiki": 0.3,
    "hansard": 0.35,
    "cookbook": 0.45,
    "awsdocs": 0.6,
}
# The loss at position T of the context falls as k T^-p (Kaplan et al. 2020, D.5); k in nats. These values are ours.
POSITION_SCALE, POSITION_EXPONENT = 4.0, 0.5
# The curve is solved at this many steps and interpolated between them, on logarithmic axes.
SOLVED_STEPS = 2000


def simulate(spec: RunSpec, run_dir: Path) -> None:
    """Write `metrics.parquet` and `summary.json` of a run whose losses are drawn from the laws that the spec names.

    The noise is a function of the run's id. No time is measured: wall_s is 0 and speeds are null.

    Raises:
        ConfigError: the spec names no planted laws, or others than there are.
    """
    laws = PLANTED.get(spec.simulate or "")
    if laws is None:
        raise ConfigError(f"run {spec.run_id}: simulate is {spec.simulate}; allowed: {', '.join(PLANTED)}")
    drawn = _draw(spec, laws)
    with atomic_path(run_dir / "metrics.parquet") as partial:
        pq.write_table(_curve_table(spec, drawn), partial)
    summary = summarize(
        spec,
        {name: _evaluation(spec, name, loss) for name, loss in drawn.evaluations.items()},
        Outcome(spec.steps, 0.0, float(drawn.smoothed[-1]), float(drawn.noise_scale[-1]), starts=[0]),
        {"device": "simulated", "devices": 1, "threads": 1},
    )
    write_text(run_dir / "summary.json", json.dumps(summary, indent=1))


@dataclass(frozen=True)
class _Drawn:
    """Training loss of each step and its smoothed form, noise scale in tokens [steps]; final loss by set; nats."""

    losses: Array
    smoothed: Array
    noise_scale: Array
    evaluations: dict[str, float]


def _draw(spec: RunSpec, laws: PlantedLaws) -> _Drawn:
    rng = np.random.default_rng(list(spec.run_id.encode()))
    params = max(1, spec.architecture.shape.params_non_embedding)  # the laws diverge at 0, and 1 is a uniform guess
    of_seed = np.exp(SEED_NOISE * rng.standard_normal())
    steps = np.arange(1, spec.steps + 1)
    solved = np.unique(np.geomspace(1, spec.steps, SOLVED_STEPS).round())
    curve = np.exp(
        np.interp(np.log(steps), np.log(solved), np.log(laws.training_loss(params, solved, spec.batch_tokens)))
    )
    uniform = np.log(VOCABULARY)
    steady = np.minimum(curve * of_seed, uniform)
    losses = steady * np.exp(STEP_NOISE * rng.standard_normal(spec.steps))
    final = min(laws.final_loss(params, spec.data_tokens) * of_seed, uniform)
    evaluations = {
        name: float(final * np.exp(SET_NOISE * rng.standard_normal())) + _offset(name) for name in spec.evaluation.sets
    }
    return _Drawn(losses, _smooth(losses), laws.critical_batch(steady), evaluations)


def _offset(name: str) -> float:
    if name not in OFFSETS:
        raise ConfigError(f"evaluation set {name!r} cannot be simulated; allowed: {', '.join(OFFSETS)}")
    return OFFSETS[name]


def _smooth(losses: Array) -> Array:
    """Mean over the last 5 % of the steps so far, at every step: what the trainer's curves hold."""
    steps = np.arange(1, len(losses) + 1)
    window = np.maximum(1, np.round(steps * SMOOTHING_SHARE)).astype(np.intp)
    total = np.concatenate([[0.0], np.cumsum(losses)])
    return np.asarray((total[steps] - total[steps - window]) / window)


def _evaluation(spec: RunSpec, name: str, loss: float) -> dict[str, Any]:
    settings, context = spec.evaluation, spec.architecture.context
    tokens = settings.tokens if name in ("validation", "test") else settings.transfer_tokens
    return evaluation(loss, _by_position(loss, context).tolist(), BYTES_PER_TOKEN, max(1, tokens // context))


def _by_position(loss: float, context: int) -> Array:
    """Losses [context] that fall along the context, with mean `loss`."""
    falling = POSITION_SCALE * np.arange(1, context + 1) ** -POSITION_EXPONENT
    return np.asarray(loss + falling - falling.mean())


def _validation(drawn: _Drawn, marks: NDArray[np.int64]) -> dict[int, float]:
    """Validation losses at the steps `marks`: the training curve, never below its end, which has its own noise."""
    end = drawn.evaluations["validation"]
    during = {step: max(end, float(drawn.smoothed[step - 1])) for step in marks.tolist()}
    return during | {len(drawn.losses): end}


def _curve_table(spec: RunSpec, drawn: _Drawn) -> pa.Table:
    """The rows that a trained run has; columns of which the laws say nothing are null."""
    marks = evaluation_steps(spec)
    steps = np.union1d(np.geomspace(1, spec.steps, CURVE_ROWS).round().astype(np.int64), marks)
    validation = _validation(drawn, marks)
    context = spec.architecture.context
    bins = position_bins(context)
    columns = {
        "run": [spec.run_id] * len(steps),
        "step": steps,
        "tokens": steps * spec.batch_tokens,
        "progress": steps / spec.steps,
        "learning_rate": [learning_rate(spec, (int(step) - 1) * spec.batch_tokens) for step in steps],
        "train_loss_nats": drawn.losses[steps - 1],
        "train_loss_smoothed_nats": drawn.smoothed[steps - 1],
        "validation_loss_nats": [validation.get(step) for step in steps.tolist()],
        "validation_loss_by_position_nats": [
            binned(_by_position(validation[step], context), bins) if step in validation else None
            for step in steps.tolist()
        ],
        "noise_scale_tokens": drawn.noise_scale[steps - 1],
        "wall_s": np.zeros(len(steps)),
    }
    return pa.table(
        [pa.array(columns.get(name, [None] * len(steps)), SCHEMA.field(name).type) for name in SCHEMA.names], SCHEMA
    )

"""Early stopping on validation: which evaluation was best, and when waiting for a better one ends."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scaling_lab.spec import RunSpec


def stopping_steps(spec: RunSpec) -> NDArray[np.int64]:
    """Steps at which `spec.stopping` evaluates validation: every `every_tokens`, and the last."""
    if spec.stopping is None:
        return np.empty(0, dtype=np.int64)
    every = spec.stopping.every_tokens // spec.batch_tokens
    return np.append(np.arange(every, spec.steps, every), spec.steps)


def best_step(validation: Mapping[int, float]) -> int:
    """The step of the lowest validation loss, the first of equal ones."""
    return min(validation, key=lambda step: (validation[step], step))


def is_over(spec: RunSpec, validation: Mapping[int, float]) -> bool:
    """Whether the best evaluation lies `patience` times `every_tokens` behind the latest."""
    if spec.stopping is None or not validation:
        return False
    waited = (max(validation) - best_step(validation)) * spec.batch_tokens
    return waited >= spec.stopping.patience * spec.stopping.every_tokens

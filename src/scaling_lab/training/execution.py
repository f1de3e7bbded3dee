"""How a run is trained, which changes nothing of what it is: threads, devices and checkpoints."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_lab.config import Strategy
from scaling_lab.spec import RunSpec


@dataclass(frozen=True)
class Execution:
    """The execution keys of the configuration (config/README.md), none of which is part of a run's identity.

    With several devices, Lightning starts the process again for each but the first.
    """

    threads: int
    checkpoint_seconds: float = 30
    checkpoint_tokens: int | None = None
    devices: int = 1
    strategy: Strategy = "auto"

    def checkpoint_steps(self, spec: RunSpec) -> NDArray[np.int64]:
        """Steps with a checkpoint whatever the clock says: every `checkpoint_tokens`, and the last."""
        every = spec.steps if self.checkpoint_tokens is None else max(1, self.checkpoint_tokens // spec.batch_tokens)
        return np.append(np.arange(every, spec.steps, every), spec.steps)

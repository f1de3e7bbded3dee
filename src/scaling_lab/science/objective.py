"""What a fit minimises: the SUM over runs of weight times a loss function of the log residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

ObjectiveName = Literal["huber", "squares", "lad"]

_LAD_DELTA = 1e-6  # least absolute deviations is Huber with a delta far below any residual of a real run


@dataclass(frozen=True)
class Objective:
    """What is minimised over log residuals: Huber with `delta`, squares / 2, or absolute deviations."""

    name: ObjectiveName = "huber"
    delta: float = 1e-3

    @property
    def threshold(self) -> float:
        """Huber's delta that realises the objective."""
        return {"huber": self.delta, "squares": np.inf, "lad": _LAD_DELTA}[self.name]

    @property
    def tolerance(self) -> float:
        """Largest relative projected gradient of an accepted optimum."""
        return {"huber": 1e-5, "squares": 1e-7, "lad": 1e-3}[self.name]

    @property
    def refit_tolerance(self) -> float:
        """The same for a bootstrap refit, which needs no more digits than the spread it contributes to."""
        return min(100 * self.tolerance, 0.1)

    def value(self, huber: float) -> float:
        """The objective in its own unit: sum of Huber terms, sum of squares / 2, or sum of absolute deviations."""
        return huber / _LAD_DELTA if self.name == "lad" else huber


def noise_free_objective(points: int, delta: float) -> float:
    """The objective below which residuals are rounding errors (1e-10 of the loss)."""
    return 0.5 * points * min(1e-10, delta) ** 2

"""The history of a run: what is recorded at every optimizer step and kept through interruptions."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from scaling_lab.spec import RunSpec
from scaling_lab.training.noise_scale import NoiseAverages

# The smoothed training loss is the mean over this share of the run so far (Porian et al. 2024 use the same 5 %).
SMOOTHING_SHARE = 0.05


@dataclass
class History:
    """Loss, gradient norm and noise scale of each step; validation losses, clock and peak memory at some steps.

    noise_scales: in tokens, NaN while undefined; empty for a run of one micro-batch.
    by_position: the validation losses again, as means over the ranges of `science.positions`.
    starts: the steps at which an attempt started: 0, then wherever an interrupted run went on.
    diverged_at, stopped_at: the step at which the run ended before its horizon, for either reason.
    """

    losses: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    noise_scales: list[float] = field(default_factory=list)
    noise: NoiseAverages = field(default_factory=NoiseAverages)
    validation: dict[int, float] = field(default_factory=dict)
    by_position: dict[int, list[float]] = field(default_factory=dict)
    clock: dict[int, float] = field(default_factory=lambda: {0: 0.0})
    memory: dict[int, int] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    diverged_at: int | None = None
    stopped_at: int | None = None

    @property
    def steps(self) -> int:
        """Optimizer steps recorded."""
        return len(self.losses)

    @property
    def ended(self) -> bool:
        """Whether the run ended before its horizon."""
        return self.diverged_at is not None or self.stopped_at is not None

    @property
    def seconds(self) -> float:
        """Training time so far, over all interrupted attempts."""
        return max(self.clock.values())

    def smoothed(self, step: int) -> float:
        """Mean training loss over the last 5 % of the first `step` steps."""
        window = max(1, round(step * SMOOTHING_SHARE))
        return float(np.mean(self.losses[step - window : step]))

    def add(self, spec: RunSpec, losses: Sequence[float], norms: Sequence[float], squares: Sequence[float]) -> None:
        """Record steps: their losses, gradient norms before clipping, and mean squared norms of the micro-batches."""
        self.losses += losses
        self.gradient_norms += norms
        if spec.micro_batches > 1:
            small, large = spec.batch_tokens / spec.micro_batches, spec.batch_tokens
            self.noise_scales += [
                self.noise.add(square, norm * norm, small, large) for norm, square in zip(norms, squares, strict=True)
            ]

    def noise_scale(self, step: int) -> float | None:
        """Gradient noise scale in tokens after `step` steps; None where it is not measured or not defined."""
        value = self.noise_scales[step - 1] if self.noise_scales else math.nan
        return value if math.isfinite(value) else None

    def as_state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "History":
        """Inverse of `as_state`."""
        return cls(**{**state, "noise": NoiseAverages(**state["noise"])})

"""One run's loss against its steps, in the part of the run that a law of training can hold for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaling_lab.science.laws import Array


@dataclass(frozen=True)
class TrainingCurve:
    """A run after its warmup and before its cooldown, at the recorded steps [m], which increase.

    params: N by the convention of the study; batch: tokens per step; loss: nats per token; noise_scale: tokens, NaN
    where it was not measured; flops_per_token: of training.
    """

    run: str
    params: float
    batch: float
    learning_rate: float
    flops_per_token: float
    steps: Array
    loss: Array
    noise_scale: Array

    @property
    def tokens(self) -> Array:
        """Tokens processed [m]."""
        return self.steps * self.batch

    @property
    def flops(self) -> Array:
        """Training FLOPs so far [m]."""
        return self.tokens * self.flops_per_token

    def steps_to(self, targets: Array) -> Array:
        """Steps to each loss of `targets`, interpolated in logarithms; NaN where the curve does not reach it.

        A curve that rises again has reached what it has reached: its running minimum counts.
        """
        lowest = np.log(np.minimum.accumulate(self.loss))
        falling = np.concatenate([[True], np.diff(lowest) < 0])
        reached = np.interp(-np.log(targets), -lowest[falling], np.log(self.steps[falling]), left=np.nan, right=np.nan)
        return np.asarray(np.exp(reached))

    def thinned(self, points: int) -> TrainingCurve:
        """The curve at about so many of its steps, equally spaced in their logarithm."""
        wanted = np.geomspace(self.steps[0], self.steps[-1], points)
        kept = np.unique(np.abs(np.log(self.steps)[:, None] - np.log(wanted)).argmin(axis=0))
        return TrainingCurve(
            self.run, self.params, self.batch, self.learning_rate, self.flops_per_token,
            self.steps[kept], self.loss[kept], self.noise_scale[kept],
        )  # fmt: skip

"""When a run has diverged: a loss that is not finite, or a spike from which it does not recover."""

import math
from collections import deque
from collections.abc import Iterable

# Steps of the mean that says how low the loss has been.
WINDOW = 16
# Share of the fall of the loss so far that a spike takes back, and the least size of one in nats per token.
SPIKE_SHARE = 0.5
SPIKE_NATS = 0.3
# A spike has not recovered when so many steps in a row, and this share of all steps so far, lie above its threshold.
PATIENCE_STEPS = 50
PATIENCE_SHARE = 0.05


class DivergenceWatch:
    """Looks at the training loss of every step and tells when the run has diverged.

    Let `best` be the lowest mean of 16 consecutive losses up to now and `start` the first loss. A step is high when its
    loss exceeds best + max((start - best) / 2, 0.3): when half of what was learned, and at least 0.3 nats per token, is
    lost. The run has diverged at the first loss that is not finite, or when max(50, 5 % of the steps so far) steps in a
    row are high. One low loss in between is a recovery; noise about a level, which is as often below it, never counts.

    What is told is a function of the losses so far alone: an interrupted run ends where an uninterrupted one does, and
    runs of several horizons agree on the trunk that they share.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._start = math.nan
        self._best = math.inf
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._high = 0

    def first_divergence(self, losses: Iterable[float]) -> int | None:
        """Take in further losses; the number of those up to the one at which the run has diverged, None if it has not.

        After it has diverged it takes in no more.
        """
        for count, loss in enumerate(losses, start=1):
            if self._see(loss):
                return count
        return None

    def _see(self, loss: float) -> bool:
        self._steps += 1
        if not math.isfinite(loss):
            return True
        if math.isnan(self._start):
            self._start = loss
        self._recent.append(loss)
        if len(self._recent) == WINDOW:
            self._best = min(self._best, math.fsum(self._recent) / WINDOW)
        threshold = self._best + max(SPIKE_SHARE * (self._start - self._best), SPIKE_NATS)
        self._high = self._high + 1 if loss > threshold else 0
        return self._high >= max(PATIENCE_STEPS, PATIENCE_SHARE * self._steps)

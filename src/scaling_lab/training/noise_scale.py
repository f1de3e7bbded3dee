"""The gradient noise scale of a run: two batches at every step, averaged before the ratio (McCandlish et al. 2018)."""

import math
from dataclasses import dataclass

from scaling_lab.science.batch import gradient_noise

# Averages reach back about a hundred steps: the noise scale itself grows over many more.
DECAY = 0.99


@dataclass
class NoiseAverages:
    """Exponential averages of |G|^2 and tr(Sigma), each on its own: the mean of their ratios is badly biased.

    Both started at zero with the same decay, so that the correction for it cancels in the ratio.
    """

    signal: float = 0.0
    noise: float = 0.0

    def add(self, small: float, large: float, small_batch: float, large_batch: float) -> float:
        """Take in the squared gradient norms of one step before clipping; return the noise scale so far.

        small: mean of |G_b|^2 over the parts of the step, of `small_batch` each; large: |G_B|^2 of all of them.
        The noise scale B_simple = tr(Sigma) / |G|^2 is in the unit of the batches, NaN while |G|^2 is not positive.
        """
        signal, noise = gradient_noise(small, large, small_batch, large_batch)
        self.signal = DECAY * self.signal + (1 - DECAY) * signal
        self.noise = DECAY * self.noise + (1 - DECAY) * noise
        return self.noise / self.signal if self.signal > 0 else math.nan

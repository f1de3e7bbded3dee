"""Universal Transformer: blocks that are passed several times (Dehghani et al. 2018; Kaplan et al. 2020, appendix D.2).

Shape suffixes: R passes, B sequences, T positions, D width.
"""

import math

import torch
from torch import Tensor

from scaling_lab.architectures import UniversalSpec
from scaling_lab.training.models.transformer import Transformer

# Base of the sinusoids' wavelengths (Vaswani et al. 2017).
BASE = 10_000.0


def pass_signals(reuse: int, width: int) -> Tensor:
    """Sinusoids of the number of the pass, 1 to `reuse`, of shape (R, D) and mean square about 1."""
    frequencies = BASE ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(1, reuse + 1, dtype=torch.float64)[:, None] * frequencies
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]
    return (math.sqrt(2) * waves).float()


class UniversalTransformer(Transformer):
    """A Transformer whose blocks are passed `reuse` times; a signal as large as the embedding says which pass it is."""

    signals: Tensor

    def __init__(self, spec: UniversalSpec) -> None:
        super().__init__(spec)
        signals_RD = self.embedding_scale * pass_signals(spec.reuse, spec.d_model)
        self.register_buffer("signals", signals_RD, persistent=False)

    def through_blocks(self, x_BTD: Tensor) -> Tensor:
        for signal_D in self.signals:
            x_BTD = super().through_blocks(x_BTD + signal_D)
        return x_BTD

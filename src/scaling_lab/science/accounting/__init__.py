"""Parameters and training FLOPs of a model, by groups and by every convention in use.

Four architectures share one interface, `Architecture`: the decoder-only Transformer that this package trains (`Shape`),
the depth-recurrent Transformer (`UniversalShape`), the LSTM (`LSTMShape`), and Hoffmann's Transformer-XL family
(`ChinchillaShape`), whose published members are in `published_shapes`. Pure Python: importing it is free.
"""

from scaling_lab.science.accounting.chinchilla import ChinchillaShape
from scaling_lab.science.accounting.conventions import (
    FLOPS_CONVENTIONS,
    PARAMS_CONVENTIONS,
    PF_DAY,
    Architecture,
    FlopsConvention,
    ForwardWork,
    ParamsConvention,
    pf_days,
)
from scaling_lab.science.accounting.recurrent import LSTMShape, UniversalShape, lstm_layer_params
from scaling_lab.science.accounting.transformer import Positions, Shape, blocks_params, flops_groups

__all__ = [
    "FLOPS_CONVENTIONS",
    "PARAMS_CONVENTIONS",
    "PF_DAY",
    "Architecture",
    "ChinchillaShape",
    "FlopsConvention",
    "ForwardWork",
    "LSTMShape",
    "ParamsConvention",
    "Positions",
    "Shape",
    "UniversalShape",
    "blocks_params",
    "flops_groups",
    "lstm_layer_params",
    "pf_days",
]

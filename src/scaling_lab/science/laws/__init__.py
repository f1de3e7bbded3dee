"""The scaling laws, each one vectorised function whose docstring is its equation, and the registry that names them.

A new law is one function, one `Law(...)` and a test. Letters are the papers': N parameters, D tokens, C FLOPs, each by
the convention that the caller chose; L is nats per token. L(N), L(D), L(C) and L(C_min) are one law, `power`, with
another X.

The engine fits a law in the logarithm of its response and in the parameters' fitted scale (logarithm for scales). A law
without a `log_form` gets exact derivatives from the complex step; those that are fitted most have theirs written out,
for speed, and a test holds every `log_form` to the function it belongs to.
"""

from collections.abc import Mapping

from scaling_lab.science.laws.data import (
    DATA_CONSTRAINED,
    TRANSFER,
    data_constrained,
    effective_params,
    effective_tokens,
    optimal_params,
    transfer,
)
from scaling_lab.science.laws.joint import (
    GADRE,
    HOFFMANN,
    KAPLAN,
    KAPLAN_SYMMETRIC,
    gadre,
    hoffmann,
    kaplan,
    kaplan_symmetric,
)
from scaling_lab.science.laws.law import Array, Law, LogForm, Parameter, complex_step
from scaling_lab.science.laws.one_variable import (
    BNSL,
    LOGARITHM,
    POSITION,
    POWER,
    POWER_OFFSET,
    bnsl,
    broken_power,
    logarithm,
    position,
    power,
    power_offset,
)
from scaling_lab.science.laws.training import (
    CRITICAL_BATCH,
    HYPERBOLA,
    KAPLAN_STEPS,
    critical_batch,
    hyperbola,
    kaplan_steps,
)

__all__ = [
    "LAWS",
    "Array",
    "Law",
    "LogForm",
    "Parameter",
    "bnsl",
    "broken_power",
    "complex_step",
    "critical_batch",
    "data_constrained",
    "effective_params",
    "effective_tokens",
    "gadre",
    "hoffmann",
    "hyperbola",
    "kaplan",
    "kaplan_steps",
    "kaplan_symmetric",
    "logarithm",
    "optimal_params",
    "position",
    "power",
    "power_offset",
    "transfer",
]

LAWS: Mapping[str, Law] = {
    law.name: law
    for law in (
        POWER,
        POWER_OFFSET,
        LOGARITHM,
        BNSL,
        POSITION,
        KAPLAN,
        KAPLAN_SYMMETRIC,
        HOFFMANN,
        GADRE,
        DATA_CONSTRAINED,
        KAPLAN_STEPS,
        CRITICAL_BATCH,
        HYPERBOLA,
        TRANSFER,
    )
}
"""Every law by name."""

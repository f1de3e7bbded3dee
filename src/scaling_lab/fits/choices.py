"""What a law of L(N, D) decides for a budget, under any count of N and of FLOPs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.table import RunTable
from scaling_lab.science.accounting import FlopsConvention, ParamsConvention
from scaling_lab.science.allocation import Question, law_frontier
from scaling_lab.science.departure import law_of_draws
from scaling_lab.science.laws import Array, Law
from scaling_lab.science.shapes import ShapeFamily


@dataclass(frozen=True)
class Decision:
    """Slope a of N*(C) over the compute measured; N*, D* and the loss in nats at the budget; each [...]."""

    a: Array
    params: Array
    tokens: Array
    loss: Array

    def at(self, index: int) -> dict[str, float]:
        """The numbers of one of several."""
        return {name: float(values[index]) for name, values in vars(self).items()}


@dataclass(frozen=True)
class Budget:
    """A budget of the study, with what is needed to ask for it under another convention.

    flops, span: the budget and the compute over which a is taken, by the study's `options.flops_convention`. params:
    what the N of every decision counts, so that decisions can be compared whatever the N of the law counts.
    """

    table: RunTable
    options: FitOptions
    params: ParamsConvention
    flops: float
    span: tuple[float, float]

    def decide(
        self,
        law: Law,
        parameters: Mapping[str, Any],
        params: ParamsConvention | None = None,
        flops: FlopsConvention | None = None,
    ) -> Decision:
        """The optimum of a law at this budget, its N counted by `params` and its cost by `flops`.

        By another count of FLOPs the budget is converted at what a token costs the largest model.
        """
        counted, costed = params or self.params, flops or self.options.flops_convention
        family = ShapeFamily(self.table.shapes(), counted, costed)
        scale = self._in_units_of(costed)
        question = Question(np.array([self.flops * scale]), family.flops_per_token, family.params_range)
        span = (self.span[0] * scale, self.span[1] * scale)
        found = law_frontier(law, parameters, span, question)
        best, tokens = found.params[..., 0], found.tokens[..., 0]
        own = ShapeFamily(self.table.shapes(), self.params, costed)
        loss = law_of_draws(law, parameters).predict(parameters, {"N": best, "D": tokens})
        return Decision(found.a, own.params_of(family.non_embedding(best)), tokens, loss)

    def _in_units_of(self, convention: FlopsConvention) -> float:
        """FLOPs of the largest model by `convention` over those by the study's."""
        shape = max(self.table.shapes(), key=lambda shape: shape.params_non_embedding)
        return shape.flops_per_token(convention) / shape.flops_per_token(self.options.flops_convention)

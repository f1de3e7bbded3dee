"""What is believed of the law before a study is run: draws of laws, published ones moved to the scale of the study.

Exponents transfer between texts and scales, coefficients do not: a published law is therefore anchored where the study
will spend its money, by the tokens per parameter that are best there and the share of the loss that is irreducible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scaling_lab.science.laws import LAWS, Array, Law
from scaling_lab.science.planner import FittedLaw
from scaling_lab.science.published import PUBLISHED

PUBLISHED_LAWS = ("hoffmann_tex", "besiroglu", "muennighoff")
EXPONENT_SPREAD = 0.15  # of log alpha and log beta around a published value
TOKENS_PER_PARAM, RATIO_SPREAD = 20.0, 0.7  # best at the anchor: median, and standard deviation of the logarithm
IRREDUCIBLE = (0.35, 0.85)  # share of the loss at the anchor
_LOSS = 3.0  # nats at the anchor; information on log loss does not depend on it


@dataclass(frozen=True)
class LawPrior:
    """Draws [K] of a law's parameters, and where they come from."""

    law: Law
    parameters: Mapping[str, Array]
    source: str

    def __len__(self) -> int:
        return len(self.parameters[self.law.parameter_names[0]])

    @property
    def theta(self) -> Array:
        """The draws in the fitted scale [K, P]."""
        columns = [
            np.log(self.parameters[p.name]) if p.log else np.asarray(self.parameters[p.name])
            for p in self.law.parameters
        ]
        return np.column_stack(columns)

    def one(self, k: int) -> dict[str, float]:
        """The parameters of one draw."""
        return {name: float(self.parameters[name][k]) for name in self.law.parameter_names}


def published_prior(
    flops: float, cost: Callable[[Array], Array], params_range: tuple[float, float], count: int, seed: int
) -> LawPrior:
    """Hoffmann laws with the exponents of published ones, anchored at `flops`, where D = flops / cost(N).

    Of each draw the exponents are one publication's, spread by 15 %; at the anchor the best tokens per parameter are
    log-normal around 20 and the irreducible share of the loss is uniform between 0.35 and 0.85.
    """
    rng = np.random.default_rng(seed)
    known = np.array([[PUBLISHED[name].values[key] for key in ("alpha", "beta")] for name in PUBLISHED_LAWS])
    spread = np.exp(EXPONENT_SPREAD * rng.standard_normal((count, 2)))
    alpha, beta = (known[rng.integers(len(known), size=count)] * spread).T
    ratio = TOKENS_PER_PARAM * np.exp(RATIO_SPREAD * rng.standard_normal(count))
    size, elasticity = _anchor(flops, cost, params_range, ratio)
    irreducible = _LOSS * rng.uniform(*IRREDUCIBLE, count)
    # At the optimum alpha A / N^alpha = elasticity beta B / D^beta, and the two terms are what is reducible.
    of_size = (_LOSS - irreducible) * elasticity * beta / (alpha + elasticity * beta)
    of_data = _LOSS - irreducible - of_size
    parameters = {
        "E": irreducible,
        "A": of_size * size**alpha,
        "B": of_data * (ratio * size) ** beta,
        "alpha": alpha,
        "beta": beta,
    }
    source = f"exponents of {', '.join(PUBLISHED_LAWS)}, anchored at {flops:.3g} FLOPs"
    return LawPrior(LAWS["hoffmann"], parameters, source)


def fitted_prior(fits: Sequence[FittedLaw], count: int, seed: int, source: str) -> LawPrior:
    """Draws of the user's own fits, equally many of each. Raises ValueError for fits of different laws."""
    laws = {fit.law.name for fit in fits}
    if len(laws) > 1:
        raise ValueError(f"fits of {' and '.join(sorted(laws))}; a prior is of one law")
    rng, law = np.random.default_rng(seed), fits[0].law
    rows = [fit.of_draws() for fit in fits]
    picked = [rng.integers(len(fits), size=count), rng.random(count)]
    parameters = {
        name: np.array([rows[f][name][int(u * len(rows[f][name]))] for f, u in zip(*picked, strict=True)])
        for name in law.parameter_names
    }
    return LawPrior(law, parameters, source)


def _anchor(
    flops: float, cost: Callable[[Array], Array], params_range: tuple[float, float], ratio: Array
) -> tuple[Array, Array]:
    """The size at which `flops` pay for `ratio` tokens per parameter, and d log cost / d log N there; [K] each."""
    sizes = np.geomspace(*params_range, 4000)
    log_sizes, log_cost = np.log(sizes), np.log(cost(sizes))
    log_size = np.interp(np.log(flops / ratio), log_cost + log_sizes, log_sizes)
    return np.exp(log_size), np.interp(log_size, log_sizes, np.gradient(log_cost, log_sizes))

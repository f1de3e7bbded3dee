"""Which sizes an IsoFLOP grid lacks: where a minimum lies at an edge, the next run trains beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaling_lab.science.isoflop import USUAL_SIZES, Profile
from scaling_lab.science.laws import Array
from scaling_lab.science.power_line import fit_power_line

PER_SIDE = 2  # sizes that a minimum needs on each side
STEP = 1.6  # from one size to the next
FARTHEST = 8.0  # a minimum that the other budgets put further than this beyond the sizes trained is not believed


@dataclass(frozen=True)
class MissingSizes:
    """What a budget lacks: sizes N to train, around the N where its minimum is or should be, and why."""

    flops: float
    centre: float
    params: tuple[float, ...]
    reason: str


def missing_sizes(profiles: Sequence[Profile]) -> list[MissingSizes]:
    """The sizes that each budget lacks to have five, and two on each side of its minimum; complete budgets are left
    out.

    The minimum is the profile's own or, where that is refused, what the other budgets' power law gives; with fewer than
    two of them, the best size that was trained.
    """
    found = []
    for profile in profiles:
        centre, reason = _centre(profile, profiles)
        sizes = _lacking(np.unique(profile.params), centre)
        if sizes:
            found.append(MissingSizes(profile.flops, centre, tuple(sizes), reason))
    return found


def _centre(profile: Profile, profiles: Sequence[Profile]) -> tuple[float, str]:
    if profile.vertex is not None:
        return profile.vertex.params, "the minimum has too few sizes around it"
    why = profile.refusal.code.value.replace("_", " ") if profile.refusal else ""
    others = [p for p in profiles if p.vertex is not None]
    best = float(profile.params[np.argmin(profile.loss)])
    if len(others) < 2:
        return best, f"{why}; around the best size trained"
    flops = np.array([p.flops for p in others])
    a, coefficient = fit_power_line(flops, np.array([p.vertex.params for p in others if p.vertex]))
    predicted = float(coefficient * profile.flops**a)
    within = (profile.params.min() / FARTHEST, profile.params.max() * FARTHEST)
    if not within[0] <= predicted <= within[1]:
        return best, f"{why}; around the best size trained"
    return predicted, f"{why}; around what the other budgets predict"


def _lacking(sizes: Array, centre: float) -> list[float]:
    above, below = int((sizes > centre).sum()), int((sizes < centre).sum())
    up = [max(sizes.max(), centre) * STEP**k for k in range(1, PER_SIDE - above + 1)]
    down = [min(sizes.min(), centre) / STEP**k for k in range(1, PER_SIDE - below + 1)]
    while len(sizes) + len(up) + len(down) < USUAL_SIZES:
        if above + len(up) <= below + len(down):
            up.append(max([sizes.max(), centre, *up]) * STEP)
        else:
            down.append(min([sizes.min(), centre, *down]) / STEP)
    return sorted(float(size) for size in (*up, *down))

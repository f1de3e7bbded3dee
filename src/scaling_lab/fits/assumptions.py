"""What the approaches assume of the runs, checked: schedules that end, short warmups, grids that move, one count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scaling_lab.fits.readings import Reading
from scaling_lab.fits.table import RunTable
from scaling_lab.science.allocation import Approaches, disjoint
from scaling_lab.science.isoflop import Profile, TokenCost
from scaling_lab.science.laws import LAWS
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.projection import fit_projected
from scaling_lab.science.refusal import FitRefusedError
from scaling_lab.science.runs import Runs
from scaling_lab.science.valley import grid_bias

LONG_WARMUP = 0.2  # share of a run (papers.md E.6)
STANDS_STILL = 0.5  # a grid whose middle moves by less than this share of N*'s exponent is shared by all budgets
BIASED = 0.01  # of the exponent: less is not worth a warning


def broken_assumptions(table: RunTable, own: Reading, answer: Approaches, others: Sequence[Approaches]) -> list[str]:
    """A sentence for each assumption that these runs break, with the number that shows it."""
    return [
        *_schedules(table),
        *_warmups(table),
        *shared_grid(own.profiles, own.cost, own.runs),
        *_counts(own, answer, others),
    ]


def _schedules(table: RunTable) -> list[str]:
    completed = table.floats("schedule_completed") if "schedule_completed" in table.columns else np.ones(len(table))
    cut = int((completed < 1 - 1e-9).sum())
    if not cut:
        return []
    return [
        f"{cut} of {len(table)} runs end before their schedule does (the least after {completed.min():.0%} of it):"
        " their losses are too high for their tokens"
    ]


def _warmups(table: RunTable) -> list[str]:
    if "warmup_tokens" not in table.columns:
        return []
    share = table.floats("warmup_tokens") / table.numbers("tokens")
    long = int((share > LONG_WARMUP + 1e-9).sum())
    if not long:
        return []
    return [
        f"{long} of {len(table)} runs warm up for more than {LONG_WARMUP:.0%} of their tokens (the longest for"
        f" {share.max():.0%}): the smallest models lose most by it, and the exponent is too large"
    ]


def shared_grid(profiles: Sequence[Profile], cost: TokenCost, runs: Runs) -> list[str]:
    """A warning where the sizes do not move with the budget and the exponent found is biased by it (papers.md E.9)."""
    accepted = [profile for profile in profiles if profile.vertex is not None]
    if len(accepted) < 3:
        return []
    flops = np.array([profile.flops for profile in accepted])
    middles, best = (np.array(values) for values in zip(*((np.exp(np.log(p.params).mean()), p.vertex.params)
                                                          for p in accepted if p.vertex), strict=True))  # fmt: skip
    moves, a = (float(fit_power_line(flops, values)[0]) for values in (middles, best))
    if moves >= STANDS_STILL * a:
        return []
    try:
        surface = fit_projected(LAWS["hoffmann"], {"N": runs.params, "D": runs.tokens}, runs.loss)
        shift = grid_bias(accepted, surface.law, surface.parameters, cost).exponent_shift
    except FitRefusedError:
        return []
    if abs(shift) < BIASED:
        return []
    return [
        f"the IsoFLOP budgets share one grid of sizes (its middle grows as C^{moves:.2f}, the minima as C^{a:.2f}): if"
        f" Hoffmann's law is exact, that alone shifts a by {shift:+.3f}"
    ]


def _counts(own: Reading, answer: Approaches, others: Sequence[Approaches]) -> list[str]:
    """Approaches whose exponent by another count lies outside the interval of the study's own.

    That of an exact law: by all counts the losses are the same, and so is their departure.
    """
    moved = []
    for name, found in answer.allocations.items():
        by_other = [other.allocations[name] for other in others]
        slopes = [one.exponents["a"] for one in (found, *by_other) if one.refusal is None]
        if found.refusal is None and any(disjoint(slopes[0].interval, slope.interval) for slope in slopes[1:]):
            values = [slope.value for slope in slopes]
            moved.append(f"{name.replace('_', ' ')} {min(values):.2f} to {max(values):.2f}")
    if not moved:
        return []
    counts = " and ".join(entry["label"] for entry in own.conventions.values())
    return [f"a hangs on what is counted, beyond its interval: {', '.join(moved)}; compare only exponents by {counts}"]

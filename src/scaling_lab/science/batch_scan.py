"""A batch scan: how many steps each batch takes to each loss, the best of the rates that it was tried at.

McCandlish et al. 2018 and Kaplan et al. 2020, section 5.1 and appendix D.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.training_curve import TrainingCurve

MINIMUM_BATCHES = 4
TARGETS = 8  # losses per size
_INSIDE = 1.002  # off the very ends of the range of losses that enough batches reach


@dataclass(frozen=True)
class BatchScan:
    """Fewest steps to a target loss at a batch [n]; `target` numbers the losses of all sizes, `cell` their batches.

    at_edge: whether the best rate was the lowest or highest of several tried.
    """

    params: Array
    loss: Array
    batch: Array
    steps: Array
    target: NDArray[np.intp]
    cell: NDArray[np.intp]
    run: tuple[str, ...]
    at_edge: NDArray[np.bool_]

    @property
    def tokens(self) -> Array:
        """Tokens processed by then [n]."""
        return self.steps * self.batch

    def of_size(self, params: float) -> BatchScan:
        """The scan of one size alone."""
        own = np.flatnonzero(self.params == params)
        return BatchScan(
            self.params[own], self.loss[own], self.batch[own], self.steps[own],
            np.unique(self.target[own], return_inverse=True)[1].ravel(),
            np.unique(self.cell[own], return_inverse=True)[1].ravel(),
            tuple(self.run[k] for k in own), self.at_edge[own],
        )  # fmt: skip


class _Point(NamedTuple):
    params: float
    loss: float
    batch: float
    steps: float
    target: int
    cell: tuple[float, float]
    run: str
    at_edge: bool


def scan_batches(curves: Sequence[TrainingCurve], targets: int = TARGETS) -> BatchScan:
    """The scan that the curves contain: sizes with four batches or more.

    Where some batches were tried at several rates, those of a single one are left out: they are not at their best.
    A target is a loss that four batches reach after their warmup. Raises FitRefusedError where there is none such.
    """
    points: list[_Point] = []
    swept = _swept(curves)
    for size, params in enumerate(sorted({curve.params for curve in curves})):
        groups = _batches([curve for curve in curves if curve.params == params], 2 if swept else 1)
        losses = _targets(groups, targets) if len(groups) >= MINIMUM_BATCHES else np.empty(0)
        own = [point for tried in groups.values() for point in _best_of(tried, losses, size * targets)]
        reached = Counter(point.target for point in own)
        points += [point for point in own if reached[point.target] >= MINIMUM_BATCHES]
    if not points:
        message = f"no size has {MINIMUM_BATCHES} batches that reach a common loss after their warmup"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    sizes, loss, batch, steps, target, cell, run, edge = zip(*points, strict=True)
    return BatchScan(
        params=np.array(sizes),
        loss=np.array(loss),
        batch=np.array(batch),
        steps=np.array(steps),
        target=np.unique(target, return_inverse=True)[1].ravel(),
        cell=np.unique(cell, return_inverse=True, axis=0)[1].ravel(),
        run=run,
        at_edge=np.array(edge),
    )


def _best_of(tried: Sequence[TrainingCurve], losses: Array, first: int) -> list[_Point]:
    """The fewest steps of one batch to each of the losses that all its rates begin above and any reaches."""
    begin = min(curve.loss[0] for curve in tried)
    steps = np.array([np.where(losses < begin, curve.steps_to(losses), np.nan) for curve in tried])
    points = []
    for k in np.flatnonzero(np.isfinite(steps).any(axis=0)).tolist():
        best = int(np.nanargmin(steps[:, k]))
        edge, curve = len(tried) > 1 and best in (0, len(tried) - 1), tried[best]
        cell = (curve.params, curve.batch)
        points.append(
            _Point(curve.params, float(losses[k]), curve.batch, float(steps[best, k]), first + k, cell, curve.run, edge)
        )
    return points


def _swept(curves: Sequence[TrainingCurve]) -> bool:
    """Whether any batch of any size was tried at several rates."""
    cells = {(curve.params, curve.batch, curve.learning_rate) for curve in curves}
    return len(cells) > len({cell[:2] for cell in cells})


def _batches(curves: Sequence[TrainingCurve], rates: int) -> dict[float, list[TrainingCurve]]:
    """The curves of each batch that was tried at so many rates at least, by rate."""
    groups = {
        batch: sorted((c for c in curves if c.batch == batch), key=lambda curve: curve.learning_rate)
        for batch in sorted({curve.batch for curve in curves})
    }
    return {b: tried for b, tried in groups.items() if len({curve.learning_rate for curve in tried}) >= rates}


def _targets(groups: dict[float, list[TrainingCurve]], count: int) -> Array:
    """Losses, the highest first, that four batches reach: at each its curves begin above, and one ends below."""
    begins = sorted((min(curve.loss[0] for curve in tried) for tried in groups.values()), reverse=True)
    ends = sorted(min(float(curve.loss.min()) for curve in tried) for tried in groups.values())
    high, low = begins[MINIMUM_BATCHES - 1] / _INSIDE, ends[MINIMUM_BATCHES - 1] * _INSIDE
    return np.geomspace(high, low, count) if high > low else np.empty(0)

"""What the fits of single experiments share: a record, findings beside published numbers, and the noise of seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.fits.noise import MINIMUM_SEEDS, seed_cells
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, reason_of
from scaling_lab.fits.selection import Selection
from scaling_lab.fits.table import RunTable
from scaling_lab.science.bootstrap import percentile_interval
from scaling_lab.science.fitting import Objective
from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

FEWEST_DRAWS = 20  # that an interval is read from


def new_experiment(
    name: str, equation: str, selection: Selection, variables: Mapping[str, tuple[str, str]], points: Mapping[str, Any]
) -> FitRecord:
    """The record of an experiment without results yet.

    variables: (column, label) by letter. points: columns of the points table, one row per run; `run` is added.
    """
    described = {letter: {"column": column, "label": label} for letter, (column, label) in variables.items()}
    record = FitRecord(name, name, equation, described, Objective("squares"), selection)
    record.points = {"run": selection.table.runs, **points}
    record.diagnostics = {"n_points": len(selection.table), "warnings": []}
    record.blocks = {"findings": []}
    return record


@dataclass(frozen=True)
class Measured:
    """A quantity with the draws [count] of its uncertainty; draws that are not finite failed."""

    value: float
    draws: Array

    def as_json(self, level: float) -> dict[str, Any]:
        """Value, standard error and central interval; without them where fewer than 20 draws succeeded."""
        good = self.draws[np.isfinite(self.draws)]
        if len(good) < FEWEST_DRAWS:
            return {"value": self.value, "se": None, "interval": None}
        interval = percentile_interval(good, level)
        bounds = {"level": level, "low": interval.low, "high": interval.high}
        return {"value": self.value, "se": float(np.std(good, ddof=1)), "interval": bounds}


def add_finding(
    record: FitRecord,
    quantity: str,
    estimate: Mapping[str, Any],
    *,
    unit: str = "",
    published: float | None = None,
    source: str | None = None,
) -> None:
    """Put a quantity with its interval into the record, beside the number that a paper published."""
    entry = {"quantity": quantity, "unit": unit, "published": published, "source": source}
    record.blocks["findings"].append({**entry, "status": "ok", "reason": None, **estimate})


def add_refusal(record: FitRecord, quantity: str, refusal: FitRefusedError) -> None:
    """Say in the record why a quantity has no number."""
    entry = {"quantity": quantity, "unit": "", "published": None, "source": None, "status": "refused"}
    record.blocks["findings"].append({**entry, "reason": reason_of(refusal), "value": None, "interval": None})


@dataclass(frozen=True)
class Noise:
    """Standard deviation of log loss over seeds, pooled over cells of three seeds or more, and its freedom."""

    relative_sd: float
    freedom: int

    def drawn(self, rng: np.random.Generator, count: int) -> Array:
        """Standard deviations [count] as uncertain as their few seeds leave them (a Student distribution)."""
        return self.relative_sd * np.sqrt(self.freedom / rng.chisquare(self.freedom, count))


def seed_noise(table: RunTable, loss_column: str) -> Noise:
    """The noise of a run among the finished runs of `table`.

    Raises:
        FitRefusedError: no cell has three seeds, so that a difference cannot be told from noise.
    """
    loss = np.log(table.numbers(loss_column))
    cells = [loss[members] for members in seed_cells(table) if len(members) >= MINIMUM_SEEDS]
    if not cells:
        message = f"no cell has {MINIMUM_SEEDS} seeds: a difference between runs cannot be told from noise"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    freedom = sum(len(cell) - 1 for cell in cells)
    return Noise(float(np.sqrt(sum(np.sum((cell - cell.mean()) ** 2) for cell in cells) / freedom)), freedom)


def noisy_copies(loss: Array, counts: Array | int, noise: Noise, options: FitOptions) -> Array:
    """Draws [resamples, n] of losses [n] that are means over `counts` seeds, with new noise of as many."""
    rng = np.random.default_rng(options.seed)
    scale = noise.drawn(rng, options.bootstrap)[:, None] / np.sqrt(counts)
    return np.asarray(loss * np.exp(scale * rng.standard_normal((options.bootstrap, len(loss)))))


@dataclass(frozen=True)
class Cells:
    """Runs that agree in everything but their seed: the first row of each, mean log-loss as a loss, number of seeds."""

    rows: list[int]
    loss: Array
    counts: Array

    def take(self, chosen: Sequence[int]) -> Cells:
        """Some of the cells, by their place."""
        places = list(chosen)
        return Cells([self.rows[place] for place in places], self.loss[places], self.counts[places])


def cells_of(table: RunTable, loss_column: str) -> Cells:
    """The cells of a table."""
    loss = np.log(table.numbers(loss_column))
    groups = seed_cells(table)
    means = np.array([loss[group].mean() for group in groups])
    return Cells([group[0] for group in groups], np.exp(means), np.array([len(group) for group in groups]))

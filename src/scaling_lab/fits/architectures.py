"""LSTMs and Universal Transformers beside Transformers of equal size: Kaplan et al. 2020, Figures 7 and 17."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from scaling_lab.fits.experiment import Measured, add_finding, new_experiment, noisy_copies, seed_noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord
from scaling_lab.fits.positions import read_positions
from scaling_lab.fits.selection import Selection, finished, one_amount, one_dataset, one_ending
from scaling_lab.fits.table import RunTable
from scaling_lab.science.laws import Array
from scaling_lab.science.positions import binned, position_bins
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

EQUATION = "100 (L / L of the Transformer of equal N - 1), the best Transformers, interpolated in log N"
FEWEST_TRANSFORMERS = 3
CONVENTIONS = {"params_non_embedding": "each parameter once", "params_with_reuse": "with reuse"}
EARLY, LATE = 8, 4  # the first eight positions; the last quarter of the context


@dataclass(frozen=True)
class Models:
    """The best rate of every model [m]: kind, series, N by both counts, row in the table, loss and drawn losses."""

    kinds: list[str]
    series: list[str]
    params: Mapping[str, Array]
    rows: list[int]
    loss: Array
    drawn: Array

    def of(self, series: str) -> list[int]:
        """Places of the models of a series, by size."""
        own = [place for place, name in enumerate(self.series) if name == series]
        return sorted(own, key=lambda place: (self.params["params_with_reuse"][place], self.loss[place]))

    @property
    def baseline(self) -> list[int]:
        """Transformers, by size, on the lower convex hull of log L over log N: those that are the best of their size,
        also where the only ones of a size are deeper than is good for them.
        """
        kept: list[int] = []
        for place in self.of("transformer"):
            if kept and self.loss[place] >= self.loss[kept[-1]]:
                continue
            while len(kept) > 1 and self._slope(kept[-2], kept[-1]) >= self._slope(kept[-2], place):
                kept.pop()
            kept.append(place)
        return kept

    def _slope(self, first: int, second: int) -> float:
        params = self.params["params_with_reuse"]
        return float(np.log(self.loss[second] / self.loss[first]) / np.log(params[second] / params[first]))


def fit_architectures(table: RunTable, options: FitOptions) -> FitRecord:
    """The loss of every other model over that of a Transformer of equal N, by both counts, and along the context.

    A model trained at several rates counts by the one that validation prefers. Intervals are from the noise of seeds,
    of a mean over models from their scatter.
    """
    done = one_ending(one_dataset(finished(Selection(table))))
    selection = one_amount(done)
    used = selection.table
    variables = {"N": ("params_non_embedding", "Non-embedding parameters")}
    loss = used.numbers(options.loss_column)
    points = {"N": used.numbers("params_non_embedding"), "reuse_N": used.numbers("params_with_reuse"), "loss": loss}
    record = new_experiment("architectures", EQUATION, selection, variables, points)
    try:
        noise = seed_noise(done.table, options.loss_column)
        models = _models(used, noisy_copies(loss, 1, noise, options), options)
        record.points |= _described(used, models)
        others = [series for series in dict.fromkeys(models.series) if series != "transformer"]
        _require(models, others)
        record.blocks["series"] = [_series(record, models, series, options) for series in others]
        record.blocks["positions"] = _positions(record, used, models, others, options)
    except FitRefusedError as refusal:
        record.refusal = refusal
    return record


def _require(models: Models, others: list[str]) -> None:
    count = len(models.baseline)
    if count < FEWEST_TRANSFORMERS or not others:
        message = f"{count} Transformers and {len(others)} other series at one amount of data"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{message}; {FEWEST_TRANSFORMERS} and 1 are needed")


def _models(table: RunTable, drawn: Array, options: FitOptions) -> Models:
    names, validation = table.models(), table.numbers("validation_loss_nats")
    best: dict[str, int] = {}
    for row, name in enumerate(names):
        if name not in best or validation[row] < validation[best[name]]:
            best[name] = row
    rows = sorted(best.values())
    kinds = [str(table.columns["architecture"][row]) for row in rows]
    params = {column: table.numbers(column)[rows] for column in CONVENTIONS}
    series = [_series_name(table, row) for row in rows]
    return Models(kinds, series, params, rows, table.numbers(options.loss_column)[rows], drawn[:, rows])


def _series_name(table: RunTable, row: int) -> str:
    """LSTMs go by their layers, Universal Transformers by their reuse, Transformers all together."""
    kind = table.columns["architecture"][row]
    if kind == "lstm":
        layers = int(table.columns["n_layer"][row])
        return f"lstm, {layers} layer{'s' if layers > 1 else ''}"
    return f"universal, reuse {int(table.columns['reuse'][row])}" if kind == "universal" else "transformer"


def _described(table: RunTable, models: Models) -> dict[str, Any]:
    """For every run its series, whether its rate is the best of its model, and how many rates that was tried at."""
    names = table.models()
    rates = table.numbers("learning_rate")
    tried = [len({rates[other] for other, name in enumerate(names) if name == own}) for own in names]
    chosen = np.isin(np.arange(len(table)), models.rows)
    baseline = np.isin(np.arange(len(table)), [models.rows[place] for place in models.baseline])
    return {
        "series": [_series_name(table, row) for row in range(len(table))], "best_rate": chosen, "rates_tried": tried,
        "baseline": baseline,
    }  # fmt: skip


def _series(record: FitRecord, models: Models, series: str, options: FitOptions) -> dict[str, Any]:
    """Gaps of the models of one series, by every count that tells them apart from the other."""
    entry: dict[str, Any] = {"series": series, "gaps": {}}
    places = models.of(series)
    for column, words in CONVENTIONS.items():
        if column == "params_with_reuse" and not series.startswith("universal"):
            continue
        gaps, drawn, params = _gaps(models, places, column)
        entry["gaps"][column] = [
            {"params": float(p), **Measured(float(gap), drawn[:, place]).as_json(options.level)}
            for place, (p, gap) in enumerate(zip(params, gaps, strict=True))
        ]
        if len(gaps):
            mean = Measured(float(gaps.mean()), drawn.mean(axis=1)).as_json(options.level)
            counted = f", N {words}" if series.startswith("universal") else ""
            quantity = f"{series}: mean excess loss over Transformers of equal size, {len(gaps)} models{counted}"
            add_finding(record, quantity, mean, unit="%")
            entry[f"mean_{column}"] = mean
            record.draws[f"{series}, {column}"] = drawn.mean(axis=1)
    return entry


def _gaps(models: Models, places: list[int], column: str) -> tuple[Array, Array, Array]:
    """Excess loss in per cent [m], its draws [count, m] and N [m] of the models within the Transformers' range."""
    base = models.baseline
    at = np.log(models.params[column][base])
    wanted = np.log(models.params[column][places])
    within = (wanted >= at[0] - 1e-9) & (wanted <= at[-1] + 1e-9)
    places = [place for place, inside in zip(places, within, strict=True) if inside]
    wanted = wanted[within]
    weights = _interpolation(at, wanted)
    expected = np.exp(weights @ np.log(models.loss[base]))
    drawn = np.exp(np.log(models.drawn[:, base]) @ weights.T)
    gaps = 100 * (models.loss[places] / expected - 1)
    return gaps, 100 * (models.drawn[:, places] / drawn - 1), np.exp(wanted)


def _interpolation(at: Array, wanted: Array) -> Array:
    """Weights [wanted, at] of a piecewise straight line; `at` ascends, equal entries count by the first."""
    return np.array([[float(np.interp(x, at, row)) for row in np.eye(len(at))] for x in wanted]).reshape(-1, len(at))


def _positions(
    record: FitRecord, table: RunTable, models: Models, others: list[str], options: FitOptions
) -> list[dict[str, Any]]:
    """Excess loss at the early and at the late positions, over Transformers of equal N interpolated there."""
    losses = read_positions(table)
    context = min(len(loss) for loss in losses)
    bins = [(1, EARLY), (context - context // LATE + 1, context)]
    at = {place: binned(losses[row], bins) for place, row in enumerate(models.rows)}
    rows = []
    for kind in dict.fromkeys(models.kinds[models.series.index(series)] for series in others):
        places = [place for place, own in enumerate(models.kinds) if own == kind]
        gaps = _gaps_at(models, places, at)
        if len(gaps) < FEWEST_TRANSFORMERS:
            continue
        for (first, last), values in zip(bins, gaps.T, strict=True):
            quantity = f"{kind}: mean excess loss at positions {first} to {last}, {len(values)} models"
            estimate = _mean(values, options)
            add_finding(record, quantity, estimate, unit="%")
            rows.append({"kind": kind, "first": first, "last": last, "gaps_percent": values, "mean": estimate})
        growth = _mean(gaps[:, 1] - gaps[:, 0], options)
        add_finding(record, f"{kind}: excess at the late positions less that at the early", growth, unit="%")
    record.blocks["by_position"] = [
        {
            "series": models.series[place], "params": float(models.params["params_with_reuse"][place]),
            "bins": position_bins(context), "loss": binned(losses[row], position_bins(context)),
        }
        for place, row in enumerate(models.rows)
    ]  # fmt: skip
    return rows


def _gaps_at(models: Models, places: list[int], at: Mapping[int, Array]) -> Array:
    """Excess in per cent [m, ranges] over Transformers of as many parameters, counted with reuse."""
    base = models.baseline
    log_n = np.log(models.params["params_with_reuse"])
    inside = [p for p in places if log_n[base[0]] - 1e-9 <= log_n[p] <= log_n[base[-1]] + 1e-9]
    if not inside:
        return np.empty((0, 2))
    weights = _interpolation(log_n[base], log_n[inside])
    expected = np.exp(weights @ np.log([at[place] for place in base]))
    return np.asarray(100 * (np.array([at[place] for place in inside]) / expected - 1))


def _mean(values: Array, options: FitOptions) -> dict[str, Any]:
    """Mean over models with a Student interval of their scatter."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    reach = error * float(student.ppf((1 + options.level) / 2, len(values) - 1))
    mean = float(values.mean())
    return {"value": mean, "se": error, "interval": {"level": options.level, "low": mean - reach, "high": mean + reach}}

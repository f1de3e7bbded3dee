"""What the shape of a model costs at a fixed number of parameters: Kaplan et al. 2020, section 3.1 and Figure 5."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from scaling_lab.fits.experiment import (
    Cells,
    Measured,
    Noise,
    add_finding,
    add_refusal,
    cells_of,
    new_experiment,
    noisy_copies,
    seed_noise,
)
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, reason_of
from scaling_lab.fits.selection import Selection, one_amount, status_ok
from scaling_lab.fits.table import RunTable
from scaling_lab.science.laws import Array
from scaling_lab.science.parabola import Words, coefficient_covariance, minimum_of
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

EQUATION = "100 (L(shape) L(N_ref) / L(N) / least - 1), L(N) ~ N^-alpha"
SAME_SIZE = 0.2  # sizes that differ by less are one size, whose differences L(N) takes out
FEWEST_SHAPES, FEWEST_SIZES, FOR_PARABOLA = 3, 4, 4
AXES = {
    "feed_forward_ratio": "feed-forward ratio d_ff / d_model",
    "aspect_ratio": "aspect ratio d_model / n_layer",
    "head_dimension": "width of a head d_model / n_head",
}
# Kaplan et al. 2020, Figure 5: "22% additional compute compensates for a 1% loss increase"; within 3 % over a factor of
# 40 in aspect ratio, section 3.1.
PUBLISHED_COMPUTE, PUBLISHED_SPREAD = 22.0, 3.0


@dataclass(frozen=True)
class Shapes:
    """Models at one amount of data, one entry per cell: shape, N and loss."""

    layers: Array
    width: Array
    feed_forward: Array
    head: Array
    params: Array
    cells: Cells
    runs: list[str]

    def axis(self, name: str) -> Array:
        """The shape parameter of a panel."""
        if name == "feed_forward_ratio":
            return self.feed_forward / self.width
        return self.width / self.layers if name == "aspect_ratio" else self.head


@dataclass(frozen=True)
class Series:
    """Cells, by their place, that differ in one shape parameter at one size, and the values of that parameter."""

    axis: str
    places: list[int]
    values: Array
    reference: float


def fit_shape(table: RunTable, options: FitOptions) -> FitRecord:
    """The increase of the loss over the best of each series of shapes, sizes made equal by the L(N) of the other runs.

    Intervals are from the noise of seeds.
    """
    finished = status_ok(Selection(table))
    selection = one_amount(finished)
    used = selection.table
    shapes = _shapes(used, options)
    variables = {"N": ("params_non_embedding", "Non-embedding parameters")}
    points = {"N": used.numbers("params_non_embedding"), "loss": used.numbers(options.loss_column)}
    record = new_experiment("shape", EQUATION, selection, variables, points)
    try:
        noise = seed_noise(finished.table, options.loss_column)
        losses = noisy_copies(shapes.cells.loss, shapes.cells.counts, noise, options)
        alpha = _exponent(shapes, losses)
        _add_panels(record, shapes, losses, alpha, noise, options)
    except FitRefusedError as refusal:
        record.refusal = refusal
    return record


def _shapes(table: RunTable, options: FitOptions) -> Shapes:
    cells = cells_of(table, options.loss_column)
    columns = {name: table.floats(name)[cells.rows] for name in ("n_layer", "d_model", "d_ff", "n_head")}
    head = columns["d_model"] / columns["n_head"]
    if "head_dim" in table.columns:
        given = table.floats("head_dim")[cells.rows]
        head = np.where(np.isfinite(given), given, head)
    params = table.numbers("params_non_embedding")[cells.rows]
    runs = [table.runs[row] for row in cells.rows]
    return Shapes(columns["n_layer"], columns["d_model"], columns["d_ff"], head, params, cells, runs)


def _exponent(shapes: Shapes, losses: Array) -> Measured:
    """alpha of L ~ N^-alpha through the models of the usual feed-forward ratio, one per size; with draws [count]."""
    ratio = shapes.axis("feed_forward_ratio")
    usual = np.flatnonzero(np.isclose(ratio, _most_frequent(ratio)))
    first = [int(usual[np.flatnonzero(shapes.params[usual] == size)[0]]) for size in np.unique(shapes.params[usual])]
    params = shapes.params[first]
    if params.max() < 10 * params.min() or len(first) < FEWEST_SIZES:
        message = (
            f"sizes from {params.min():.4g} to {params.max():.4g} give no L(N) to take differences of size out with"
        )
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{message}; give a ladder over a decade")
    slope, _ = fit_power_line(params, shapes.cells.loss[first])
    drawn, _ = fit_power_line(np.broadcast_to(params, losses[:, first].shape), losses[:, first])
    return Measured(-float(slope), -drawn)


def _most_frequent(values: Array) -> float:
    found, counts = np.unique(np.round(values, 6), return_counts=True)
    return float(found[np.argmax(counts)])


def _add_panels(
    record: FitRecord, shapes: Shapes, losses: Array, alpha: Measured, noise: Noise, options: FitOptions
) -> None:
    record.parameters["alpha"] = alpha.as_json(options.level)
    record.draws["alpha"] = alpha.draws
    add_finding(record, "exponent of L(N) that takes differences of size out", record.parameters["alpha"])
    record.diagnostics["seed_noise"] = {"relative_sd": noise.relative_sd, "degrees_of_freedom": noise.freedom}
    compute = Measured(100 * (1.01 ** (1 / alpha.value) - 1), 100 * (1.01 ** (1 / alpha.draws) - 1))
    add_finding(
        record, "additional parameters that compensate 1 % of loss", compute.as_json(options.level), unit="%",
        published=PUBLISHED_COMPUTE, source="Kaplan et al. 2020, Figure 5, of compute",
    )  # fmt: skip
    panels = [_panel(record, series, shapes, losses, alpha, options) for series in _series(shapes)]
    if not panels:
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"no {FEWEST_SHAPES} shapes of one size differ in one way")
    record.blocks["panels"] = panels


def _series(shapes: Shapes) -> Iterator[Series]:
    """Every series of three shapes or more of one size along one parameter."""
    usual = np.isclose(shapes.axis("feed_forward_ratio"), _most_frequent(shapes.axis("feed_forward_ratio")))
    plain = _first_of_each(np.column_stack([shapes.layers, shapes.width, shapes.feed_forward]))
    for size in _size_groups(shapes.params):
        near = np.abs(np.log(shapes.params / size)) < np.log1p(SAME_SIZE)
        yield from _grouped("aspect_ratio", shapes, near & usual & plain, [])
        yield from _grouped("feed_forward_ratio", shapes, near & plain, [shapes.layers])
        yield from _grouped("head_dimension", shapes, near, [shapes.layers, shapes.width, shapes.feed_forward])


def _grouped(axis: str, shapes: Shapes, mask: Any, held: list[Array]) -> Iterator[Series]:
    """Series among the cells of `mask` that agree in what is held."""
    places = np.flatnonzero(mask)
    keys = np.column_stack([np.zeros(len(places)), *(values[places] for values in held)])
    for key in np.unique(keys, axis=0):
        own = places[(keys == key).all(axis=1)]
        values = shapes.axis(axis)[own]
        if len(np.unique(np.round(values, 6))) >= FEWEST_SHAPES:
            order = np.argsort(values)
            yield Series(axis, own[order].tolist(), values[order], float(shapes.params[own].min()))


def _size_groups(params: Array) -> list[float]:
    """A middle size for each group of three cells or more within 20 % of it, the largest groups first."""
    left, middles = np.unique(params), []
    while len(left):
        near = [(np.abs(np.log(params / size)) < np.log1p(SAME_SIZE)).sum() for size in left]
        if max(near) < FEWEST_SHAPES:
            break
        middles.append(float(left[int(np.argmax(near))]))
        left = left[np.abs(np.log(left / middles[-1])) >= 2 * np.log1p(SAME_SIZE)]
    return middles


def _first_of_each(keys: Array) -> Any:
    """Mask of the first row of each distinct key [n, k]: a model's usual heads stand before its others in a grid."""
    mask = np.zeros(len(keys), dtype=bool)
    mask[np.unique(keys, axis=0, return_index=True)[1]] = True
    return mask


def _panel(
    record: FitRecord, series: Series, shapes: Shapes, losses: Array, alpha: Measured, options: FitOptions
) -> dict[str, Any]:
    """One series: adjusted losses, their increase over the best, and the parabola of loss in log shape."""
    params, own = shapes.params[series.places], shapes.cells.take(series.places)
    reference = float(np.exp(np.mean(np.log(params))))
    adjusted = own.loss * (params / reference) ** alpha.value
    drawn = losses[:, series.places] * (params / reference) ** alpha.draws[:, None]
    increase = [_increase(adjusted, drawn, place, options) for place in range(len(params))]
    spread = Measured(100 * (adjusted.max() / adjusted.min() - 1), 100 * (drawn.max(axis=1) / drawn.min(axis=1) - 1))
    noise = drawn / adjusted
    by_chance = 100 * (noise.max(axis=1) / noise.min(axis=1) - 1)
    chance = Measured(float(np.median(by_chance)), by_chance)
    ends = f"{series.values.min():.3g} to {series.values.max():.3g}"
    quantity = f"largest increase of the loss, {AXES[series.axis]} {ends} at N = {reference:.3g}"
    aspect = series.axis == "aspect_ratio"
    add_finding(
        record, quantity, spread.as_json(options.level), unit="%", published=PUBLISHED_SPREAD if aspect else None,
        source="Kaplan et al. 2020, section 3.1, (6, 4288) against (48, 1600)" if aspect else None,
    )  # fmt: skip
    add_finding(
        record, "the same if shape made no difference, from seeds alone", chance.as_json(options.level), unit="%"
    )
    return {
        "axis": series.axis, "label": AXES[series.axis], "reference_params": reference,
        "runs": [shapes.runs[place] for place in series.places],
        "values": series.values, "params": params, "loss": own.loss, "adjusted_loss": adjusted,
        "increase_percent": increase, "spread_percent": spread.as_json(options.level),
        "chance_percent": chance.as_json(options.level),
        "parabola": _parabola(record, series, adjusted, options),
    }  # fmt: skip


def _increase(adjusted: Array, drawn: Array, place: int, options: FitOptions) -> Mapping[str, Any]:
    """The increase over the best shape, in per cent; the best is the one measured, in every draw."""
    best = int(np.argmin(adjusted))
    value = 100 * (adjusted[place] / adjusted[best] - 1)
    return Measured(float(value), 100 * (drawn[:, place] / drawn[:, best] - 1)).as_json(options.level)


def _parabola(record: FitRecord, series: Series, adjusted: Array, options: FitOptions) -> dict[str, Any]:
    """Loss as a parabola in the logarithm of the shape, or why there is none."""
    x = np.log(series.values)
    try:
        if len(x) < FOR_PARABOLA:
            message = f"{len(x)} values of the {AXES[series.axis]}; at least {FOR_PARABOLA}"
            raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
        centre = float(x.mean())
        coefficients = np.polyfit(x - centre, adjusted, 2)
        covariance = coefficient_covariance(x - centre, adjusted - np.polyval(coefficients, x - centre))
        tried = f"shapes tried, {series.values.min():.3g} to {series.values.max():.3g}"
        words = Words(f"N = {series.reference:.3g}", series.axis, tried)
        found = minimum_of(coefficients, covariance, x.min() - centre, x.max() - centre, words)
    except FitRefusedError as refusal:
        add_refusal(record, f"best {AXES[series.axis]} at N = {series.reference:.3g}", refusal)
        return {"status": "refused", "reason": reason_of(refusal)}
    best, error = centre + found.at, found.error * float(norm.ppf((1 + options.level) / 2))
    bounds = {"level": options.level, "low": float(np.exp(best - error)), "high": float(np.exp(best + error))}
    estimate = {"value": float(np.exp(best)), "se": None, "interval": bounds}
    add_finding(record, f"best {AXES[series.axis]} at N = {series.reference:.3g}", estimate)
    return {"status": "ok", "reason": None, "coefficients": coefficients, "centre": centre, "best": estimate}

"""The same grid on several texts or vocabularies: which exponents agree, and by which factor losses differ.

Kaplan et al. 2020, section 4: another vocabulary or tokenization rescales the loss by an overall factor, which L(N, D)
must allow. Losses in nats per token of two datasets are set against each other here, never fitted together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.fits.experiment import Measured, add_finding, new_experiment, noisy_copies, seed_noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord
from scaling_lab.fits.selection import Selection, finished, one_architecture
from scaling_lab.fits.table import RunTable
from scaling_lab.science.grouping import groups_of
from scaling_lab.science.laws import Array
from scaling_lab.science.power_line import fit_power_line
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

EQUATION = "L' = f L, in every cell of size and data that two datasets share; f constant by the first principle"
FEWEST_CELLS, FEWEST_SIZES = 4, 3
PRINCIPLE = "Kaplan et al. 2020, section 4, first principle"


@dataclass(frozen=True)
class Grid:
    """Runs by dataset and cell: rows [datasets][cells] of the cells that all datasets have, N and D of each."""

    names: list[str]
    rows: list[list[int]]
    params: Array
    tokens: Array


def fit_datasets(table: RunTable, options: FitOptions) -> FitRecord:
    """Exponents of N and D in every dataset, and the factor of each to the first, in nats per token and bits per byte.

    The factor's own powers of N and D, 0 by the principle, say whether it is constant. Intervals: noise of seeds.
    """
    selection = one_architecture(finished(Selection(table)))
    used = selection.table
    points = {
        "N": used.numbers("params_non_embedding"), "D": used.numbers("tokens"),
        "loss": used.numbers(options.loss_column), "bits_per_byte": used.numbers(_bits_column(options)),
        "dataset": used.values("tokens_id"),
    }  # fmt: skip
    variables = {"N": ("params_non_embedding", "Non-embedding parameters"), "D": ("tokens", "Training tokens")}
    record = new_experiment("datasets", EQUATION, selection, variables, points)
    try:
        noise = seed_noise(used, options.loss_column)
        grid = shared_grid(used)
        drawn = noisy_copies(points["loss"], 1, noise, options)
        record.blocks["datasets"] = [
            _exponents(record, grid, place, points["loss"], drawn, options) for place in range(len(grid.names))
        ]
        record.blocks["factors"] = [
            _factor(record, grid, place, points, drawn, noise.relative_sd, options)
            for place in range(1, len(grid.names))
        ]
    except FitRefusedError as refusal:
        record.refusal = refusal
    return record


def _bits_column(options: FitOptions) -> str:
    return f"bits_per_byte_{options.loss_column.removesuffix('_nats').removesuffix('_loss')}"


def shared_grid(table: RunTable) -> Grid:
    """The cells that every dataset has, of the first seed in each; datasets in the order of the table.

    Raises:
        FitRefusedError: fewer than two datasets, or fewer than four cells that all share.
    """
    datasets = [str(name) for name in table.values("tokens_id")]
    names = list(dict.fromkeys(datasets))
    models = _models_without_vocabulary(table)
    amounts = groups_of(table.numbers("tokens"))
    cells: dict[str, dict[tuple[str, int], int]] = {name: {} for name in names}
    for row, dataset in enumerate(datasets):
        cells[dataset].setdefault((models[row], int(amounts[row])), row)
    if len(names) < 2:
        raise FitRefusedError(RefusalCode.SINGLE_VALUE, f"every run is on {names[0]}; two datasets are compared")
    shared = [cell for cell in cells[names[0]] if all(cell in own for own in cells.values())]
    if len(shared) < FEWEST_CELLS:
        message = f"{', '.join(names)} share {len(shared)} cells of size and data; at least {FEWEST_CELLS}"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    rows = [[cells[name][cell] for cell in shared] for name in names]
    return Grid(names, rows, table.numbers("params_non_embedding")[rows[0]], table.numbers("tokens")[rows[0]])


def _models_without_vocabulary(table: RunTable) -> list[str]:
    columns = ("n_layer", "d_model", "n_head", "d_ff", "context")
    return [" ".join(str(table.columns[name][row]) for name in columns) for row in range(len(table))]


def _exponents(
    record: FitRecord, grid: Grid, place: int, loss: Array, drawn: Array, options: FitOptions
) -> dict[str, Any]:
    """Powers of N at the most data and of D at the largest size of one dataset, over the shared cells."""
    rows = np.array(grid.rows[place])
    entry: dict[str, Any] = {"dataset": grid.names[place]}
    ways = {
        "alpha_N": (grid.params, groups_of(grid.tokens) == groups_of(grid.tokens).max(), "N at the most data"),
        "alpha_D": (grid.tokens, grid.params == grid.params.max(), "D at the largest size"),
    }
    for name, (x, mask, words) in ways.items():
        if len(np.unique(x[mask])) < FEWEST_SIZES:
            entry[name] = None
            continue
        slope, _ = fit_power_line(x[mask], loss[rows[mask]])
        draws, _ = fit_power_line(np.broadcast_to(x[mask], drawn[:, rows[mask]].shape), drawn[:, rows[mask]])
        alpha = Measured(-float(slope), -draws)
        entry[name] = alpha.as_json(options.level)
        key = f"{name}_{place}"
        record.parameters[key], record.draws[key] = entry[name], alpha.draws
        add_finding(record, f"{grid.names[place]}: power of {words}", entry[name])
    return entry


def _factor(
    record: FitRecord,
    grid: Grid,
    place: int,
    points: Mapping[str, Any],
    drawn: Array,
    noise: float,
    options: FitOptions,
) -> dict[str, Any]:
    """The losses of a dataset over those of the first: mean, powers of N and D, and scatter against that of seeds."""
    first, other = np.array(grid.rows[0]), np.array(grid.rows[place])
    logs = {column: np.log(points[column][other] / points[column][first]) for column in ("loss", "bits_per_byte")}
    draws = np.log(drawn[:, other] / drawn[:, first])
    design = np.column_stack([np.ones(len(first)), *(np.log(x) - np.log(x).mean() for x in (grid.params, grid.tokens))])
    varied = [0, *(k for k in (1, 2) if np.ptp(design[:, k]) > 0)]
    solve = np.linalg.pinv(design[:, varied])
    names = [("factor", "power_of_N", "power_of_D")[k] for k in varied]
    found = {
        name: Measured(float(value), drawn_values)
        for name, value, drawn_values in zip(names, solve @ logs["loss"], solve @ draws.T, strict=True)
    }
    found["factor"] = Measured(float(np.exp(found["factor"].value)), np.exp(found["factor"].draws))
    # Seeds move both losses, so that the scatter of their ratio is larger by the root of two.
    residuals = logs["loss"] - logs["loss"].mean()
    entry: dict[str, Any] = {name: measured.as_json(options.level) for name, measured in found.items()}
    _report(record, grid, place, found, entry)
    return entry | {
        "dataset": grid.names[place], "reference": grid.names[0], "cells": len(first),
        "bits_per_byte_factor": float(np.exp(logs["bits_per_byte"].mean())),
        "bits_per_byte_span": [float(np.exp(logs["bits_per_byte"].min())), float(np.exp(logs["bits_per_byte"].max()))],
        "scatter": float(np.sqrt(np.sum(residuals**2) / (len(first) - 1))), "seed_scatter": float(np.sqrt(2) * noise),
    }  # fmt: skip


def _report(record: FitRecord, grid: Grid, place: int, found: Mapping[str, Measured], entry: Mapping[str, Any]) -> None:
    words = f"{grid.names[place]} over {grid.names[0]}"
    add_finding(record, f"{words}: factor of the loss in nats per token", entry["factor"])
    for name in ("power_of_N", "power_of_D"):
        if name in entry:
            letter = name[-1]
            add_finding(record, f"{words}: power of {letter} in it", entry[name], published=0.0, source=PRINCIPLE)
    for name, measured in found.items():
        key = f"{name}_{place}"
        record.parameters[key], record.draws[key] = entry[name], measured.draws


def dataset_names(ids: Sequence[str]) -> dict[str, str]:
    """Names of datasets by id, without the digest where that leaves them apart."""
    short = {name: name.rpartition("-")[0] or name for name in ids}
    return short if len(set(short.values())) == len(short) else {name: name for name in ids}

"""The best batch at fixed tokens, each at its best rate: its rule of size and data, the cells and other rules by it.

Bergsma et al. 2025 and Step Law 2025 measure it so: of batches that read equally many tokens, the small ones are held
back by their noise and the large ones by their few steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.fits.experiment import Measured, Noise, add_finding, new_experiment, seed_noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.sweeps import add_cells, optimum_of, relative_curvature, without_draws
from scaling_lab.fits.table import RunTable
from scaling_lab.fits.training_curves import read_training_curves
from scaling_lab.science.batch_scan import MINIMUM_BATCHES
from scaling_lab.science.hyperparameters import PUBLISHED_BATCHES, counted_params
from scaling_lab.science.laws import Array
from scaling_lab.science.parabola import Words
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.training_curve import TrainingCurve

RULE = "best batch = B_best (D / D0)^beta_D (N / N0)^beta_N"
EQUATION = f"{RULE}; excess = k(N) log(batch / best batch)^2, k the curvature of the sweeps"
SHARES = (1.0, 0.5, 0.25)  # of the tokens that every run of the scan reaches
FEWEST_SIZES = 3
NEAR = 1.08  # times the lowest loss: the losses that the parabola is fitted to, of four batches at least
# Exponents of D that were published for the best batch; Kaplan's and DeepSeek's are of other variables.
STEP_LAW = 0.571


def fit_batch_tuning(table: RunTable, curves_path: Path, options: FitOptions) -> FitRecord:
    """The best batch of every size at three amounts of data, and every annealed cell of the study held against it.

    The scan is of runs whose rate never decays, so that every point of a curve is the end of a run. The loss is the
    smoothed training loss.
    """
    cells = status_ok(Selection(table))
    variables = {
        "N": ("params_non_embedding", "Non-embedding parameters"),
        "X": ("batch_tokens", "Batch, tokens per step"),
    }
    empty = {name: np.empty(0) for name in ("N", "X", "factor", "excess")}
    record = new_experiment("batch_tuning", EQUATION, cells, variables, {})
    record.points = {"run": [], **empty}
    try:
        noise = seed_noise(cells.table, options.loss_column)
        sweeps = _sweeps(_scan(table, curves_path, options), noise, options)
        record.blocks["sweeps"] = without_draws(sweeps)
        found = [sweep for sweep in sweeps if sweep["status"] == "ok"]
        _add_rule(record, found, options)
        _add_published(record, table, _longest(found))
        _hold_cells(record, cells.table, _longest(found))
    except FitRefusedError as refusal:
        record.refusal = refusal
    return record


def _scan(table: RunTable, path: Path, options: FitOptions) -> list[TrainingCurve]:
    """Curves of the runs whose rate never decays."""
    steady = {run for run, done in zip(table.runs, table.floats("schedule_completed"), strict=True) if done == 0}
    _, curves = read_training_curves(path, table, options)
    scan = [curve for curve in curves if curve.run in steady]
    if not scan:
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, "no run at a constant rate: a scan of batches has them")
    return scan


def _sweeps(curves: Sequence[TrainingCurve], noise: Noise, options: FitOptions) -> list[dict[str, Any]]:
    """The best batch of each size at each amount of data, from the lowest losses over the rates tried.

    `rate_at_edge`: whether the lowest or highest rate was the best of a batch.
    """
    reached = min(float(curve.tokens[-1]) for curve in curves)
    sweeps = []
    for params in sorted({curve.params for curve in curves}):
        for tokens in (share * reached for share in SHARES):
            batches = _best_of_rates([curve for curve in curves if curve.params == params], tokens)
            if len(batches) < MINIMUM_BATCHES:
                continue
            batch, loss, rate, edge = _valley(batches)
            tried = f"batches near the best, {batch.min():.4g} to {batch.max():.4g}"
            words = Words(f"N = {params:.4g} and D = {tokens:.3g}", "batch", tried)
            entry = {
                "params_non_embedding": params, "tokens": tokens, "batches": batch, "rates": rate, "rate_at_edge": edge,
            }  # fmt: skip
            sweeps.append(entry | optimum_of(batch, loss, noise, words, options))
    return sweeps


def _best_of_rates(curves: Sequence[TrainingCurve], tokens: float) -> list[tuple[float, float, float, bool]]:
    """(batch, lowest loss, its rate, whether at an edge of the rates) of the batches whose curves cover `tokens`."""
    rows = []
    for batch in sorted({curve.batch for curve in curves}):
        own = sorted((c for c in curves if c.batch == batch), key=lambda curve: curve.learning_rate)
        covering = [curve for curve in own if curve.tokens[0] <= tokens]
        if not covering:
            continue
        losses = [
            float(np.exp(np.interp(np.log(tokens), np.log(curve.tokens), np.log(curve.loss)))) for curve in covering
        ]
        best = int(np.argmin(losses))
        rows.append((batch, losses[best], covering[best].learning_rate, best in (0, len(losses) - 1)))
    return rows


def _valley(batches: Sequence[tuple[float, float, float, bool]]) -> tuple[Array, ...]:
    """The columns of the batches near the best: far from it a parabola in log batch holds no more."""
    columns = [np.array(column) for column in zip(*batches, strict=True)]
    loss = columns[1]
    bound = max(NEAR * loss.min(), float(np.sort(loss)[MINIMUM_BATCHES - 1]))
    return tuple(column[loss <= bound] for column in columns)


def _add_rule(record: FitRecord, sweeps: Sequence[Mapping[str, Any]], options: FitOptions) -> None:
    """B_best (D / D0)^beta_D (N / N0)^beta_N through the best batches, D0 and N0 in the middle of the sweeps.

    Raises:
        FitRefusedError: fewer than three sizes have a best batch inside those tried.
    """
    sizes = {sweep["params_non_embedding"] for sweep in sweeps}
    if len(sizes) < FEWEST_SIZES:
        reasons = "; ".join(sweep["reason"]["message"] for sweep in record.blocks["sweeps"] if sweep["reason"])
        message = f"the best batch lies inside those tried at {len(sizes)} sizes; at least {FEWEST_SIZES}. {reasons}"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    at = np.log([[sweep["tokens"], sweep["params_non_embedding"]] for sweep in sweeps])
    middle = at.mean(axis=0)
    record.blocks["middle"] = dict(zip(("tokens", "params_non_embedding"), np.exp(middle).tolist(), strict=True))
    design = np.column_stack([np.ones(len(at)), at - middle])
    drawn = np.log(np.stack([sweep["draws"] for sweep in sweeps]))
    drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
    value = np.linalg.lstsq(design, np.log([sweep["best"]["value"] for sweep in sweeps]), rcond=None)[0]
    draws = np.linalg.lstsq(design, drawn, rcond=None)[0]
    found = {
        "B_best": Measured(float(np.exp(value[0])), np.exp(draws[0])),
        "beta_D": Measured(float(value[1]), draws[1]),
        "beta_N": Measured(float(value[2]), draws[2]),
    }
    record.parameters = {name: measured.as_json(options.level) for name, measured in found.items()}
    record.draws = {name: measured.draws for name, measured in found.items()}
    source = "Step Law 2025: 0.58 D^0.571"
    add_finding(
        record,
        f"beta_D of {RULE}",
        record.parameters["beta_D"],
        published=STEP_LAW,
        source=source,
    )
    add_finding(
        record,
        f"beta_N of {RULE}",
        record.parameters["beta_N"],
        published=0.0,
        source=source,
    )
    edges = sum(int(np.sum(sweep["rate_at_edge"])) for sweep in sweeps)
    if edges:
        record.diagnostics["warnings"].append(
            f"the best rate is the lowest or the highest of those tried at {edges} of"
            f" {sum(len(sweep['batches']) for sweep in sweeps)} batches: the losses there may be too high"
        )


def _add_published(record: FitRecord, table: RunTable, sweeps: Sequence[Mapping[str, Any]]) -> None:
    """What every published rule asks for at each size swept, over its best batch, and what that would have cost."""
    params = np.array([sweep["params_non_embedding"] for sweep in sweeps])
    tokens = np.array([sweep["tokens"] for sweep in sweeps])
    best = np.array([sweep["best"]["value"] for sweep in sweeps])
    rows = [int(np.argmin(np.abs(table.numbers("params_non_embedding") - size))) for size in params]
    flops = table.numbers("flops_per_token_deepseek")[rows] * tokens
    record.blocks["rules"] = []
    for name, rule in PUBLISHED_BATCHES.items():
        counted = table.numbers(counted_params(name))[rows]
        asked = np.array([rule(*of) for of in zip(counted.tolist(), tokens.tolist(), flops.tolist(), strict=True)])
        excess = relative_curvature(sweeps, params) * np.log(asked / best) ** 2
        record.blocks["rules"].append(
            {"rule": name, "params": params, "tokens": tokens, "batch": asked, "factor": asked / best, "excess": excess}
        )


def _longest(sweeps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of each size the sweep at the most tokens."""
    longest = {sweep["params_non_embedding"]: sweep for sweep in sorted(sweeps, key=lambda s: s["tokens"])}
    return [longest[params] for params in sorted(longest)]


def _hold_cells(record: FitRecord, table: RunTable, sweeps: Sequence[Mapping[str, Any]]) -> None:
    b, p, r = (record.parameters[name]["value"] for name in ("B_best", "beta_D", "beta_N"))
    tokens, params = table.numbers("tokens"), table.numbers("params_non_embedding")
    middle = record.blocks["middle"]
    best = b * (tokens / middle["tokens"]) ** p * (params / middle["params_non_embedding"]) ** r
    add_cells(record, table, "batch_tokens", "batch", best, sweeps)

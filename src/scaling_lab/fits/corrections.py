"""The ladder of corrections on a study's own runs: which choice moves the exponent of N*(C), step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.fits.assumptions import LONG_WARMUP
from scaling_lab.fits.curves import LOSS, read_curves
from scaling_lab.fits.labels import TOKENS, flops_label, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, reason_of
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.table import Mask, RunTable
from scaling_lab.science.accounting import FlopsConvention, ParamsConvention
from scaling_lab.science.bootstrap import percentile_interval
from scaling_lab.science.curve_envelope import Curve
from scaling_lab.science.fitting import Objective
from scaling_lab.science.ladder import (
    PORIAN_2024,
    SizeLosses,
    losses_of_curve,
    losses_of_ends,
    measure_rung,
    slopes,
)
from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.shapes import ShapeFamily

EQUATION = "log L = parabola in log N at each budget; N* of its minimum grows as C^a"
PARABOLA = 3  # numbers that a parabola takes


@dataclass(frozen=True)
class Step:
    """A rung: its switch in words, the runs it is read from, their ends or their curves, and what N and C count."""

    name: str
    label: str
    runs: str
    ends: bool
    params: ParamsConvention
    flops: FlopsConvention


STEPS = (
    Step("kaplan", "Kaplan's choices", "long_warmup", False, "params_non_embedding", "6n"),
    Step("head_flops", "head's FLOPs in C", "long_warmup", False, "params_non_embedding", "head"),
    Step("head_params", "head in N", "long_warmup", False, "params_with_head", "head"),
    Step("warmup", "short warmup", "longest", False, "params_with_head", "head"),
    Step("decay", "decay matched to the run", "untuned", True, "params_with_head", "head"),
    Step("tuned", "rate and batch tuned", "tuned", True, "params_with_head", "head"),
)


def fit_corrections(table: RunTable, curves: Path, options: FitOptions) -> FitRecord:
    """The exponent a on every rung of Porian et al. 2024, and how far each switch moves it.

    The runs tell their rung themselves: those that warm up for more than a fifth are Kaplan's; those of the same rate
    and batch without such a warmup are untuned, the rest tuned. All losses are smoothed training losses.
    """
    selection = status_ok(Selection(table))
    used = selection.table
    variables = {
        "C": {"column": "flops_head", "label": flops_label("head")},
        "N": {"column": "params_with_head", "label": params_label("params_with_head")},
        "D": {"column": "tokens", "label": TOKENS},
    }
    record = FitRecord("corrections", "isoflop", EQUATION, variables, Objective("squares"), selection)
    record.draws = {step.name: np.empty(0) for step in STEPS}
    record.points = _no_points()
    record.diagnostics = {"n_points": len(used), "curve_loss": LOSS, "warnings": []}
    try:
        _fill(record, used, _groups(used), read_curves(curves, used, options), options)
    except FitRefusedError as refusal:
        record.refusal = refusal
    return record


def _groups(table: RunTable) -> dict[str, Mask]:
    """The runs of each rung. Raises FitRefusedError naming what is missing."""
    tokens, warmup = table.numbers("tokens"), table.floats("warmup_tokens")
    long = warmup > LONG_WARMUP * tokens * (1 + 1e-9)
    recipe = list(zip(table.models(), table.values("batch_tokens"), table.values("learning_rate"), strict=True))
    kaplan = {key for key, is_long in zip(recipe, long, strict=True) if is_long}
    same = np.array([key in kaplan for key in recipe], dtype=bool)
    untuned = ~long & same
    horizon = {model: max(t for m, t, own in zip(table.models(), tokens, untuned, strict=True) if own and m == model)
               for model, own in zip(table.models(), untuned, strict=True) if own}  # fmt: skip
    longest = np.array([own and t >= horizon[model] for model, t, own in
                        zip(table.models(), tokens, untuned, strict=True)], dtype=bool)  # fmt: skip
    groups = {"long_warmup": long, "longest": longest, "untuned": untuned, "tuned": ~long & ~same}
    for name, mask in groups.items():
        if not mask.any():
            message = f"no run is of the rung {name.replace('_', ' ')}: see config/studies/corrections.yaml"
            raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    return groups


def _fill(
    record: FitRecord, table: RunTable, groups: dict[str, Mask], curves: Sequence[Curve], options: FitOptions
) -> None:
    noise = run_noise(table, groups["tuned"], curves)
    shifts = noise * np.random.default_rng(options.seed).standard_normal((options.bootstrap, len(table)))
    found: dict[str, tuple[float, Array]] = {}
    rungs = []
    for step in STEPS:
        sizes, rows = _sizes(table, groups[step.runs], curves, step)
        try:
            rung = measure_rung(sizes, table.numbers(f"flops_per_token_{step.flops}")[rows], shifts)
        except FitRefusedError as refusal:
            rungs.append(_described(step) | {"status": "refused", "reason": reason_of(refusal), "a": None})
            continue
        counted = ShapeFamily(table.shapes(), step.params, step.flops)
        params = counted.params_of(rung.params)
        a, drawn = float(slopes(rung.flops, params[None, :])[0]), slopes(rung.flops, counted.params_of(rung.drawn))
        found[step.name] = (a, drawn)
        rungs.append(_rung_json(step, rung.flops, params, _estimate(a, drawn, options.level)))
        record.points = _joined(record.points, step, rung.flops, params)
    record.draws = {name: drawn for name, (_, drawn) in found.items()}
    record.blocks |= {
        "rungs": rungs,
        "shifts": _shifts(found, options.level),
        "published": {"source": "Porian et al. 2024, RefinedWeb", "a": dict(PORIAN_2024)},
    }
    record.parameters = {rung["name"]: rung["a"] for rung in rungs if rung["status"] == "ok"}
    record.diagnostics["noise_log"] = noise
    record.diagnostics["warnings"] += [note for rung in rungs if (note := _unsure(rung))]
    if len(found) < 2:
        record.refusal = FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{len(found)} of {len(STEPS)} rungs have an a")


def run_noise(table: RunTable, tuned: Mask, curves: Sequence[Curve]) -> float:
    """Standard deviation of the log loss of a run: scatter of the tuned runs' ends around a parabola in log tokens.

    Taken over all sizes with four horizons or more. Raises FitRefusedError without any.
    """
    squares, freedom = 0.0, 0
    for rows in _by_model(table, tuned).values():
        x, y = (np.log([getattr(curves[i], name)[-1] for i in rows]) for name in ("tokens", "loss"))
        if len(np.unique(x)) > PARABOLA:
            squares += float(np.sum((y - np.polyval(np.polyfit(x, y, 2), x)) ** 2))
            freedom += len(rows) - PARABOLA
    if not freedom:
        message = f"no size has more than {PARABOLA} tuned horizons, by which the noise of a run is known"
        raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, message)
    return float(np.sqrt(squares / freedom))


def _by_model(table: RunTable, mask: Mask) -> dict[str, list[int]]:
    """Rows of each model of a rung, smallest model first."""
    names, params = table.models(), table.numbers("params_non_embedding")
    rows = sorted(np.flatnonzero(mask).tolist(), key=lambda i: (params[i], names[i]))
    return {name: list(members) for name, members in groupby(rows, key=lambda i: names[i])}


def _sizes(table: RunTable, mask: Mask, curves: Sequence[Curve], step: Step) -> tuple[list[SizeLosses], list[int]]:
    """The losses of every size of a rung, by the ends of its runs or by the curve of one; and a row of each."""
    params, shortest = table.numbers("params_non_embedding"), float(table.numbers("tokens").min())
    sizes, firsts = [], []
    for rows in _by_model(table, mask).values():
        firsts.append(rows[0])
        size = float(params[rows[0]])
        if step.ends:
            ends = {i: (float(curves[i].tokens[-1]), float(curves[i].loss[-1])) for i in rows}
            sizes.append(losses_of_ends(size, ends, len(table)))
        else:
            sizes.append(losses_of_curve(size, curves[rows[-1]], shortest, rows[-1], len(table)))
    return sizes, firsts


def _unsure(rung: dict[str, Any]) -> str | None:
    """A rung whose noise moves its minima to an edge on one side only: its interval says too little."""
    interval = rung["a"] and rung["a"]["interval"]
    if not interval or interval["low"] < rung["a"]["value"] < interval["high"]:
        return None
    return f"{rung['label']}: a = {rung['a']['value']:.2f} lies at the end of its own interval: minima near an edge"


def _described(step: Step) -> dict[str, Any]:
    return {"name": step.name, "label": step.label, "params": step.params, "flops_convention": step.flops}


def _rung_json(step: Step, flops: Array, params: Array, a: dict[str, Any]) -> dict[str, Any]:
    inside = np.isfinite(params)
    return _described(step) | {
        "status": "ok",
        "reason": None,
        "a": a,
        "flops": flops[inside],
        "params_opt": params[inside],
        "budgets_at_an_edge": int((~inside).sum()),
    }


def _estimate(value: float, draws: Array, level: float) -> dict[str, Any]:
    good = draws[np.isfinite(draws)]
    interval = percentile_interval(good, level) if len(good) >= 20 else None
    return {
        "value": value,
        "se": float(np.std(good)) if len(good) else None,
        "interval": None if interval is None else vars(interval),
        "failed": int(len(draws) - len(good)),
    }


def _shifts(slopes: dict[str, tuple[float, Array]], level: float) -> list[dict[str, Any]]:
    """By how much each switch moves a, from the rung before that has one."""
    names = [step.name for step in STEPS if step.name in slopes]
    return [
        {"from": before, "to": after}
        | _estimate(slopes[after][0] - slopes[before][0], slopes[after][1] - slopes[before][1], level)
        for before, after in pairwise(names)
    ]


def _no_points() -> dict[str, Any]:
    return {"rung": [], "C": np.empty(0), "N": np.empty(0)}


def _joined(before: dict[str, Any], step: Step, flops: Array, params: Array) -> dict[str, Any]:
    joined: dict[str, Any] = {
        name: np.concatenate([before[name], values]) for name, values in (("C", flops), ("N", params))
    }
    return joined | {"rung": before["rung"] + [step.name] * len(flops)}

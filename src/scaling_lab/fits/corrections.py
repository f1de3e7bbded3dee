"""The ladder of corrections on a study's own runs: which choice moves the exponent of N*(C), step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.fits.assumptions import LONG_WARMUP
from scaling_lab.fits.curves import LOSS, read_curves
from scaling_lab.fits.isoflop import token_cost
from scaling_lab.fits.labels import TOKENS, flops_label, params_label
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, reason_of
from scaling_lab.fits.selection import Selection, status_ok
from scaling_lab.fits.table import Mask, RunTable
from scaling_lab.science.accounting import FlopsConvention, ParamsConvention
from scaling_lab.science.bootstrap import percentile_interval
from scaling_lab.science.curve_envelope import Curve
from scaling_lab.science.fitting import Objective
from scaling_lab.science.ladder import PORIAN_2024, Points, Rung, measure_rung
from scaling_lab.science.laws import Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

EQUATION = "log L = quadratic in log N and log D; N*(C) = params_coefficient C^a"
CURVE_POINTS = 8  # of a training curve, over the range of the matched horizons


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
    record = FitRecord("corrections", "response_surface", EQUATION, variables, Objective("squares"), selection)
    record.draws = {step.name: np.empty(0) for step in STEPS}
    record.points = _no_points()
    record.diagnostics = {"n_points": len(used), "curve_loss": LOSS, "warnings": []}
    try:
        groups = _groups(used)
    except FitRefusedError as refusal:
        record.refusal = refusal
        return record
    _fill(record, used, groups, read_curves(curves, used, options), options)
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
    rng, rungs = np.random.default_rng(options.seed), list[dict[str, Any]]()
    horizons = table.numbers("tokens")[groups["untuned"]]
    span = (float(horizons.min()), float(horizons.max()))
    noise: float | None = None
    slopes: dict[str, tuple[float, Array]] = {}
    # From the last rung on, whose points are runs: their scatter is the noise of all.
    for step in reversed(STEPS):
        points = _points(table, groups[step.runs], curves, step, span)
        cost = token_cost(table, options.model_copy(update=_counts(step)))
        try:
            rung = measure_rung(points, cost, noise, options.bootstrap, rng)
        except FitRefusedError as refusal:
            rungs.append(_refused(step, refusal))
            continue
        noise = noise or rung.noise
        if not np.isfinite(rung.best.a):
            message = "fewer than three budgets have their best size between those trained"
            rungs.append(_refused(step, FitRefusedError(RefusalCode.EDGE_OPTIMUM, message)))
            continue
        slopes[step.name] = (float(rung.best.a), rung.drawn.a)
        rungs.append(_rung_json(step, rung, len(points.loss), options.level))
        record.draws[step.name] = rung.drawn.a
        record.points = _joined(record.points, step, points, table)
    record.blocks["rungs"] = rungs[::-1]
    record.blocks["published"] = {"source": "Porian et al. 2024, RefinedWeb", "a": dict(PORIAN_2024)}
    record.blocks["shifts"] = _shifts(slopes, options.level)
    record.parameters = {rung["name"]: rung["a"] for rung in rungs[::-1] if rung["status"] == "ok"}
    record.diagnostics["noise_log"] = noise
    if len(slopes) < 2:
        record.refusal = FitRefusedError(RefusalCode.TOO_FEW_POINTS, f"{len(slopes)} of {len(STEPS)} rungs have an a")


def _counts(step: Step) -> dict[str, Any]:
    return {"params_convention": step.params, "flops_convention": step.flops}


def _points(table: RunTable, mask: Mask, curves: Sequence[Curve], step: Step, span: tuple[float, float]) -> Points:
    """Ends of the rung's runs, or points along their curves."""
    params, per_token = table.numbers(step.params), table.numbers(f"flops_per_token_{step.flops}")
    wanted = np.geomspace(*span, CURVE_POINTS)
    rows: list[tuple[float, float, float, float, int]] = []
    for index in np.flatnonzero(mask):
        curve = curves[index]
        tokens = curve.tokens[-1:] if step.ends else wanted[wanted <= curve.tokens[-1] * (1 + 1e-9)]
        loss = np.exp(np.interp(np.log(tokens), np.log(curve.tokens), np.log(curve.loss)))
        rows += [
            (params[index], d, d * per_token[index], value, int(index)) for d, value in zip(tokens, loss, strict=True)
        ]
    columns = [np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)]
    return Points(*columns[:4], columns[4].astype(np.intp))


def _refused(step: Step, refusal: FitRefusedError) -> dict[str, Any]:
    return _described(step) | {"status": "refused", "reason": reason_of(refusal), "a": None}


def _described(step: Step) -> dict[str, Any]:
    return {"name": step.name, "label": step.label, "params": step.params, "flops_convention": step.flops}


def _rung_json(step: Step, rung: Rung, points: int, level: float) -> dict[str, Any]:
    inside = np.isfinite(rung.best.params)
    return _described(step) | {
        "status": "ok",
        "reason": None,
        "n_points": points,
        "a": _estimate(float(rung.best.a), rung.drawn.a, level),
        "params_coefficient": float(rung.best.coefficient),
        "flops": rung.best.flops[inside],
        "params_opt": rung.best.params[inside],
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
        for before, after in zip(names, names[1:], strict=False)
    ]


def _no_points() -> dict[str, Any]:
    return {"run": [], "rung": [], "N": np.empty(0), "D": np.empty(0), "C": np.empty(0), "loss": np.empty(0)}


def _joined(before: dict[str, Any], step: Step, points: Points, table: RunTable) -> dict[str, Any]:
    names = table.runs
    own = {"N": points.params, "D": points.tokens, "C": points.flops, "loss": points.loss}
    joined: dict[str, Any] = {name: np.concatenate([values, before[name]]) for name, values in own.items()}
    joined["run"] = [names[i] for i in points.run] + before["run"]
    joined["rung"] = [step.name] * len(points.run) + before["rung"]
    return joined

"""The fitted laws as statements, and the tables of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import PARAMS, flops_words
from scaling_lab.report import experiments, reconciliation
from scaling_lab.report.choices import FORMS
from scaling_lab.report.formats import count, estimate, exact, flops, number, percent
from scaling_lab.report.training_laws import TRAINING_MEANINGS, TRAINING_STATEMENTS, TRAINING_TITLES

TITLES = {
    "params": "Loss against size, L(N)",
    "tokens": "Loss against data, L(D)",
    "compute": "Loss against compute, L(C)",
    "kaplan": "Loss against size and data, Kaplan et al. 2020",
    "hoffmann": "Loss against size and data, Hoffmann et al. 2022",
    "isoflop": "Best size and data, IsoFLOP profiles",
    "envelope": "Best size and data, envelope of the training curves",
    "overshoot": "A cosine schedule longer than the run",
    "corrections": "The corrections between Kaplan and Hoffmann",
    "data_limits": "Repeated tokens, data-constrained law",
    "head_to_head": "A held-out budget",
    "tuning": "Learning rate of the cells against the best",
    "batch_tuning": "Batch of the cells against the best",
}

# Difference of AICc from which one form is called better than another.
CLEAR_GAIN = 4.0

MEANINGS = {
    "Xc": "scale: the power law would reach 1 nat there",
    "alpha": "exponent",
    "doubling_factor": "the loss is multiplied by this when the variable doubles",
    "alpha_N": "exponent of size, with unlimited data",
    "alpha_D": "exponent of data, with unlimited size",
    "Nc": "scale of size",
    "Dc": "scale of data, tokens",
    "overfitting_exponent": "data must grow as size to this power to keep overfitting constant",
    "E": "irreducible loss, nats",
    "A": "size term at one parameter, nats",
    "B": "data term at one token, nats",
    "beta": "exponent of data",
    "R_N": "excess parameters beyond the best size for the unique tokens, in multiples of it, that decay by e",
    "R_D": "repetitions of the data that decay by e",
    "a": "best size grows as compute to this power",
    "b": "best data grows as compute to this power",
    "B_best": "best batch, tokens per step, in the middle of the sweeps",
    "beta_D": "best batch grows as tokens to this power",
    "beta_N": "best batch grows as size to this power",
    "G": "ratio of the two terms at the optimum",
    "loss_exponent": "the reducible loss falls as compute to this power",
    "params_coefficient": "best size at one FLOP",
    "tokens_coefficient": "best data at one FLOP",
}


def law_views(data: StudyData) -> list[dict[str, Any]]:
    """One entry per fit of the study: title, equation, statement or reason, parameters, alternatives, diagnostics."""
    fits = {name: fit for name in data.study["fits"] if (fit := data.fit(name))}
    return [_view(name, fit, data) for name, fit in fits.items()]


def _view(name: str, fit: Fit, data: StudyData) -> dict[str, Any]:
    record = fit.record
    diagnostics = record["diagnostics"]
    return {
        "name": name,
        "title": (TITLES | experiments.TITLES | TRAINING_TITLES)[name],
        "equation": record["equation"],
        "ok": fit.ok,
        "reason": record["reason"],
        "statement": _statement(name, fit, data) if fit.ok else None,
        "conventions": [f"{letter}: {described['label']}" for letter, described in record["variables"].items()],
        "parameters": _estimates(record),
        "findings": experiments.finding_rows(record),
        "alternatives": record.get("alternatives"),
        "profiles": record.get("profiles"),
        "checks": list(_checks(record)) if "grid_bias" in record else [],
        "by_convention": record.get("conventions") or {},
        "sensitivity": record.get("sensitivity") or [],
        "objective": record["objective"],
        "diagnostics": diagnostics,
        "warnings": diagnostics.get("warnings", []),
        "filters": record["filters"],
        "provenance": record["provenance"],
    }


def _statement(name: str, fit: Fit, data: StudyData) -> Markup:
    return _STATEMENTS[name](fit, data) if name in _STATEMENTS else experiments.statement(fit)


def _estimates(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    envelope = (record.get("envelope") or {}).get("params_law", {})
    groups = (
        ("fitted", record["parameters"]),
        ("derived", record["derived"]),
        ("of the size N on the envelope against C", {f"N {k}": v for k, v in envelope.items() if k != "equation"}),
    )
    return [
        {"name": name, "kind": kind, "meaning": (MEANINGS | TRAINING_MEANINGS).get(name, ""), **entry}
        for kind, group in groups
        for name, entry in group.items()
    ]


def _checks(record: Mapping[str, Any]) -> Iterator[str]:
    """How far the IsoFLOP grid can be trusted, and what it lacks."""
    yield from _grid_bias(record)
    yield from _isoflop_backtest(record)
    yield from _next_cells(record)


def _grid_bias(record: Mapping[str, Any]) -> Iterator[str]:
    """What the grid alone does to the minima, if a law of L(N, D) were exact."""
    for law, bias in record["grid_bias"].items():
        if bias["status"] != "ok":
            yield f"Bias of this grid under {FORMS[law]} law: refused, {bias['reason']['message']}."
            continue
        low, high = (100 * (ratio - 1) for ratio in (min(bias["ratio"]), max(bias["ratio"])))
        yield (
            f"Bias of this grid: if {FORMS[law]} law were exact, parabolas on these sizes would put the minima "
            f"{low:+.0f} to {high:+.0f} % off the best size, and a {bias['exponent_shift']:+.3f} off."
        )


def _isoflop_backtest(record: Mapping[str, Any]) -> Iterator[str]:
    """How the smaller budgets predict the largest."""
    outcome = record["backtest"]
    if outcome["status"] != "ok":
        yield f"Backtest: refused, {outcome['reason']['message']}."
        return
    interval = outcome["interval"]
    yield (
        f"Backtest: the other budgets predict a best size of {count(outcome['predicted'])} at "
        f"{flops(outcome['flops'])} FLOPs, where the minimum measured is {count(outcome['measured'])} "
        f"({100 * outcome['relative_error']:+.0f} %, {'inside' if outcome['inside'] else 'outside'} the "
        f"{percent(interval['level'], 0)} interval, {count(interval['low'])} to {count(interval['high'])})."
    )


def _next_cells(record: Mapping[str, Any]) -> Iterator[str]:
    """The cells that the grid lacks, as a study would name them."""
    for block in record["next_cells"]:
        shapes = ", ".join(f"[{layers}, {width}]" for layers, width in block["shapes"])
        yield (
            f"To add at {flops(block['budgets'][0])} FLOPs, around {count(block['centre'])}: shapes {shapes} "
            f"({block['reason']})."
        )


def _doubling(fit: Fit, of: str, held: str, span: str) -> Markup:
    factor = fit.record["derived"]["doubling_factor"]
    interval = factor["interval"]
    bounds = f" ({percent(1 - interval['high'])} to {percent(1 - interval['low'])})" if interval else ""
    diagnostics = fit.record["diagnostics"]
    text = Markup(
        "Every doubling of {} lowers the loss by {}{}: exponent {}, over {} in {} points{}. R² in log-log is {}."
    )
    return text.format(
        of,
        percent(1 - factor["value"]),
        bounds,
        estimate(fit.record["parameters"]["alpha"]),
        span,
        diagnostics["n_points"],
        held,
        exact(number(diagnostics["r_squared_log"], 4), diagnostics["r_squared_log"]),
    ) + _offset_preferred(fit)


def _offset_preferred(fit: Fit) -> str:
    """A sentence where the law with an irreducible loss fits clearly better: a pure power law then promises too "
    "much."""
    forms = fit.record.get("alternatives") or {}
    plain, offset = (forms.get(form, {}) for form in ("power", "power_offset"))
    if offset.get("status") != "ok" or plain.get("aicc") is None or offset.get("aicc") is None:
        return ""
    gain = plain["aicc"] - offset["aicc"]
    if gain < CLEAR_GAIN:
        return ""
    floor = offset["parameters"]["E"]["value"]
    return (
        f" A law with an irreducible loss of {floor:.2f} nats fits better (AICc lower by {gain:.0f}), so do not "
        "extend the pure power law far beyond the data."
    )


def _span(values: Sequence[float]) -> str:
    return f"{count(min(values))} to {count(max(values))}"


def _params(fit: Fit, data: StudyData) -> Markup:
    tokens = max(data.runs_by_id[run]["tokens"] for run in fit.points["run"])
    column = fit.record["variables"]["X"]["column"]
    return _doubling(fit, PARAMS[column], f", each trained on {count(tokens)} tokens", _span(fit.points["X"].tolist()))


def _tokens(fit: Fit, data: StudyData) -> Markup:
    params = data.runs_by_id[str(fit.points["run"][0])][data.params_column]
    return _doubling(
        fit, "the training tokens", f", all at {count(params)} parameters", _span(fit.points["X"].tolist())
    )


def _compute(fit: Fit, data: StudyData) -> Markup:
    costs = fit.record["envelope"]["flops"]
    span = f"{number(min(costs))} to {number(max(costs))} FLOPs"
    text = _doubling(fit, f"training compute ({flops_words(data.flops_convention)})", " of the lower envelope", span)
    exponent = fit.record["envelope"]["params_law"]["exponent"]
    return text + Markup(" The size of the runs on it grows as compute to the power {}.").format(estimate(exponent))


def _kaplan(fit: Fit, data: StudyData) -> Markup:
    record = fit.record
    return Markup(
        "With unlimited data the loss falls as size to the power {}, with unlimited size as data to the power {}. To "
        "keep overfitting constant, data must grow as size to the power {}."
    ).format(
        *(estimate(record["parameters"][name]) for name in ("alpha_N", "alpha_D")),
        estimate(record["derived"]["overfitting_exponent"]),
    )


def _hoffmann(fit: Fit, data: StudyData) -> Markup:
    record = fit.record
    known = record["diagnostics"]["offset_identified"]
    floor = "Of the loss, {} nats are irreducible for this text and tokenizer; the rest falls"
    open_floor = (
        "The irreducible loss is not determined by these runs ({} nats, an interval that contains 0). The rest falls"
    )
    text = Markup(
        f"{floor if known else open_floor} as size to the power {{}} and as data to the power {{}}. "
        "At C = 6 N D, the best size grows as compute to the power {} and the best data to the power {}."
    )
    values = [record["parameters"][name] for name in ("E", "alpha", "beta")]
    return text.format(*(estimate(entry) for entry in (*values, record["derived"]["a"], record["derived"]["b"])))


def _isoflop(fit: Fit, data: StudyData) -> Markup:
    parameters, diagnostics = fit.record["parameters"], fit.record["diagnostics"]
    return Markup(
        "Through the minima of {} of {} budgets, the best size grows as compute to the power {} and the best data to "
        "the power {}."
    ).format(diagnostics["accepted"], diagnostics["budgets"], estimate(parameters["a"]), estimate(parameters["b"]))


_STATEMENTS: Mapping[str, Callable[[Fit, StudyData], Markup]] = {
    "params": _params,
    "tokens": _tokens,
    "compute": _compute,
    "kaplan": _kaplan,
    "hoffmann": _hoffmann,
    "isoflop": _isoflop,
    **TRAINING_STATEMENTS,
    "envelope": reconciliation.envelope,
    "overshoot": reconciliation.overshoot,
    "corrections": reconciliation.corrections,
    "data_limits": reconciliation.data_limits,
    "head_to_head": reconciliation.head_to_head,
    "tuning": reconciliation.tuning,
    "batch_tuning": reconciliation.batch_tuning,
}

"""Statements of the fits that reconcile Kaplan and Hoffmann: envelope, schedules, corrections, repeats, the test."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.report.formats import count, estimate, flops, number, percent

_RULES = {
    "isoflop_parabola": "Approach 2",
    "variable_projection": "Approach 3",
    "kaplan": "Kaplan's L(N, D)",
}


def envelope(fit: Fit, data: StudyData) -> Markup:
    """Exponents on the envelope, and how much of it was left out."""
    parameters, diagnostics = fit.record["parameters"], fit.record["diagnostics"]
    return Markup(
        "On the envelope of {} sizes, the best size grows as compute to the power {} and the best data to the power "
        "{}; {} of the envelope lies before the end of its run's schedule and is left out."
    ).format(
        diagnostics["sizes"],
        estimate(parameters["a"]),
        estimate(parameters["b"]),
        percent(diagnostics["share_mid_schedule"], 0),
    )


def overshoot(fit: Fit, data: StudyData) -> Markup:
    """The excess loss of every length."""
    parts = [
        Markup("{} times: {} of the log loss").format(f"{row['period']:g}", estimate(row["excess"]))
        for row in fit.record["periods"]
    ]
    return Markup("What a longer cosine costs, by its length over the run's. ") + Markup("; ").join(parts) + "."


def corrections(fit: Fit, data: StudyData) -> Markup:
    """The exponent from the first rung to the last, and what each switch moved."""
    rungs = {rung["name"]: rung for rung in fit.record["rungs"] if rung["status"] == "ok"}
    names = list(rungs)
    steps = [Markup("{} {}").format(rungs[shift["to"]]["label"], estimate(shift)) for shift in fit.record["shifts"]]
    return Markup("The exponent of the best size goes from {} ({}) to {} ({}). What each step moved: {}.").format(
        estimate(rungs[names[0]]["a"]),
        rungs[names[0]]["label"],
        estimate(rungs[names[-1]]["a"]),
        rungs[names[-1]]["label"],
        Markup("; ").join(steps),
    )


def data_limits(fit: Fit, data: StudyData) -> Markup:
    """R_D* and R_N*, the rival laws, and the plan for so many unique tokens."""
    record = fit.record
    forms = [
        form for form in record["forms"] if form["status"] == "ok" and form["residual_sd_log_repeated"] is not None
    ]
    rivals = "; ".join(f"{form['form']} {percent(form['residual_sd_log_repeated'], 2)}" for form in forms)
    text = Markup(
        "After {} repetitions a further one is worth 1/e of a new token, after {} times the best size a further "
        "parameter; Muennighoff et al. 2023 find 15.4 and 5.3. Scatter on the {} repeated runs by law: {}."
    ).format(
        estimate(record["parameters"]["R_D"]), estimate(record["parameters"]["R_N"]), record["repeated_runs"], rivals
    )
    return text + Markup(" ").join(["", *(_plan(plan) for plan in record["plans"])])


def _plan(plan: dict[str, Any]) -> Markup:
    return Markup("With {} unique tokens and {} FLOPs: {} parameters, {} epochs, {} nats.").format(
        count(plan["unique_tokens"]), flops(plan["flops"]), count(plan["params"]["value"]),
        number(plan["epochs"]["value"], 2), number(plan["loss"]["value"], 3),
    )  # fmt: skip


def tuning(fit: Fit, data: StudyData) -> Markup:
    """The measured rule, the cells beyond near-optimal, and the published rules at these sizes."""
    parameters = fit.record["parameters"]
    rule = Markup("The best rate is {} N to the power -{}.").format(*(estimate(parameters[name]) for name in "cq"))
    return rule + _distances(fit)


def batch_tuning(fit: Fit, data: StudyData) -> Markup:
    """The measured rule of the batch, the cells beyond near-optimal, and the published rules."""
    parameters, middle = fit.record["parameters"], fit.record["middle"]
    rule = Markup(
        "The best batch of {} parameters on {} tokens is {} tokens, and grows as D to the power {} and N to {}."
    )
    at = count(middle["params_non_embedding"]), count(middle["tokens"])
    return rule.format(*at, *(estimate(parameters[name]) for name in ("B_best", "beta_D", "beta_N"))) + _distances(fit)


def _distances(fit: Fit) -> Markup:
    """The cells beyond near-optimal, and what the published rules would have cost."""
    record, cells = fit.record, fit.record["cells"]
    rules = "; ".join(f"{rule['rule']} up to {percent(max(rule['excess']), 1)}" for rule in record["rules"])
    return Markup(
        " Of {} cells {} are expected to lose more than {} by theirs, at most {}. "
        "At the sizes swept the published rules would have lost: {}."
    ).format(
        cells["cells"], len(cells["beyond"]), percent(cells["near_optimal"], 2), percent(cells["largest_excess"], 2),
        rules,
    )  # fmt: skip


def head_to_head(fit: Fit, data: StudyData) -> Markup:
    """Which rule's model came out best, and whether the predictions held."""
    record = fit.record
    picks = [pick for pick in record["picks"] if pick["status"] == "ok"]
    asked = "; ".join(
        f"{_RULES.get(pick['rule'], pick['rule'])} asks for {count(pick['params'])}, nearest trained "
        f"{count(pick['trained_params'])}, {pick['above_the_best']:.3f} nats above the best"
        for pick in picks
    )
    runs = [run for law in record["predictions"] for run in law["runs"]]
    inside = sum(run["intervals"][-1]["inside"] for run in runs)
    best = min(record["trained"], key=lambda row: row["loss"])
    return Markup(
        "At {} FLOPs, {} times the largest run below, the best of {} trained models has {} parameters and {} nats. {}. "
        "Of {} predictions {} lie within their 95 % interval."
    ).format(
        flops(record["flops"]), number(record["times_the_largest_below"], 2), len(record["trained"]),
        count(best["params"]), number(best["loss"], 4), asked, len(runs), inside,
    )  # fmt: skip

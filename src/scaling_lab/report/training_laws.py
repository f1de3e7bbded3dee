"""What the fits of training curves, batch and compute say, in a sentence each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from markupsafe import Markup

from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.report.formats import count, estimate, number, percent

TRAINING_TITLES = {
    "critical_batch": "Critical batch against loss, B_crit(L)",
    "training_law": "Loss along training, L(N, S_min)",
    "compute_min": "Best use of compute along the curves, L(C_min)",
    "frontier": "Best use of compute in theory, appendix B",
    "sample_efficiency": "Tokens to a loss against size",
    "depth_series": "Loss against size at every depth",
}
TRAINING_MEANINGS = {
    "B_star": "critical batch at a loss of 1 nat, tokens",
    "alpha_B": "the critical batch grows as the loss to the power -1 / alpha_B",
    "Sc": "scale of steps",
    "alpha_S": "exponent of steps",
    "params_exponent": "best size grows as compute to this power",
    "steps_exponent": "steps at an unlimited batch grow as compute to this power",
    "batch_exponent": "critical batch grows as compute to this power",
    "tokens_exponent": "tokens at the critical batch grow as compute to this power",
    "alpha_C": "exponent of compute that the other exponents imply",
    "Cc": "scale of compute that they imply, FLOPs",
    "above_converged": "how far above its converged loss the best size stops",
    "N_over_nearly_converged": "size, over that of training to 2 % above convergence, at equal loss",
    "S_over_nearly_converged": "steps, over the same",
    "C_over_nearly_converged": "compute, over the same",
    "smallest_size": "of the best size: smaller ones cost over 20 % more compute",
    "largest_size": "of the best size: larger ones cost over 20 % more compute",
    "variance_ratio": "scatter around one line with embeddings counted, over that without",
}


def _critical(fit: Fit, data: StudyData) -> Markup:
    losses = fit.points["loss"]
    return Markup(
        "From {} to {} nats the critical batch grows from {} to {} tokens, as the loss to the power -{}."
    ).format(
        number(losses.max(), 3),
        number(losses.min(), 3),
        *(count(float(fit.predict({"L": losses})[i])) for i in (losses.argmax(), losses.argmin())),
        estimate(fit.record["derived"]["loss_exponent"]),
    )


def _training(fit: Fit, data: StudyData) -> Markup:
    parameters = fit.record["parameters"]
    return Markup(
        "The curves of {} sizes follow one law with a scatter of {}: exponents {} of size and {} of steps."
    ).format(
        len(set(fit.points["run"])),
        percent(fit.record["diagnostics"]["residual_sd_log"], 1),
        *(estimate(parameters[name]) for name in ("alpha_N", "alpha_S")),
    )


def _compute_min(fit: Fit, data: StudyData) -> Markup:
    derived = fit.record["derived"]
    return Markup(
        "Along the envelope of the curves the loss falls as compute to the power {}; of a larger budget, size takes "
        "the power {}, the critical batch {} and serial steps {}."
    ).format(
        estimate(fit.record["parameters"]["alpha"]),
        *(estimate(derived[f"{name}_exponent"]) for name in ("params", "batch", "steps")),
    )


def _frontier(fit: Fit, data: StudyData) -> Markup:
    derived = fit.record["derived"]
    return Markup(
        "At the best size training stops {} above convergence, with {} of the compute and {} of the steps of training "
        "to 2 % above it. Sizes from {} to {} of the best cost at most 20 % more."
    ).format(
        percent(derived["above_converged"]["value"]),
        percent(derived["C_over_nearly_converged"]["value"], 0),
        percent(derived["S_over_nearly_converged"]["value"], 0),
        *(number(derived[name]["value"], 2) for name in ("smallest_size", "largest_size")),
    )


def _samples(fit: Fit, data: StudyData) -> Markup:
    return Markup("The tokens to a loss of {} nats fall as size to the power {}.").format(
        number(fit.record["headline_loss"], 3), estimate(fit.record["parameters"]["alpha"])
    )


def _depths(fit: Fit, data: StudyData) -> Markup:
    return Markup(
        "Around one power law through all depths the variance of the loss is {} times as large with embeddings in the "
        "count as without."
    ).format(estimate(fit.record["derived"]["variance_ratio"]))


TRAINING_STATEMENTS: Mapping[str, Callable[[Fit, StudyData], Markup]] = {
    "critical_batch": _critical,
    "training_law": _training,
    "compute_min": _compute_min,
    "frontier": _frontier,
    "sample_efficiency": _samples,
    "depth_series": _depths,
}

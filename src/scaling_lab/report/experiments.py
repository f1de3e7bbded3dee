"""The single experiments in the report: titles, captions of their figures, and their findings in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from scaling_lab.figures.inputs import Fit
from scaling_lab.report.formats import MISSING, estimate, number

TITLES = {
    "early_stopped": "Early-stopped loss against size and unique data",
    "stopping_bound": "The step at which limited data turn the loss",
    "shape": "The shape of a model at a fixed size",
    "architectures": "Other architectures beside Transformers of equal size",
    "transfer": "Loss on other texts",
    "context": "Loss along the context",
    "learning_rate": "The best peak learning rate",
    "datasets": "One grid on several texts or vocabularies",
}

CAPTIONS = {
    "overfitting": (
        "Overfitting",
        "Kaplan et al. 2020, Figure 9. Left: test loss of runs that stopped early against size, one line of Eq 1.5 per "
        "amount of unique data with its {level} band. Right: how much limited data cost, against the one variable of "
        "Eq 4.3; filled over the limit of the law, hollow over the run on the most data, as in the paper.",
    ),
    "early_stopping": (
        "When limited data turn the loss",
        "Kaplan et al. 2020, Figure 16. Left: step of the best validation loss against the bound of Eq 5.7; the paper "
        "finds all points above the diagonal. Steps are those of the runs' one batch, on both axes. Right: training "
        "and validation loss of the largest model on each amount of unique data.",
    ),
    "shape": (
        "The shape of a model at a fixed size",
        "Kaplan et al. 2020, Figure 5. Increase of the loss over the best shape; differences of size are taken out by "
        "the power of N of the ladder. Bars are {level} intervals from seeds; the grey band is the spread that seeds "
        "alone would give. Lines are parabolas in the logarithm of the shape, where the losses show one.",
    ),
    "depth_transfer": (
        "Depth and other texts",
        "Kaplan et al. 2020, Figure 24. Loss on every text against depth at one number of parameters: where the lines "
        "are parallel, depth makes no difference to transfer beyond that to the training text.",
    ),
    "architectures": (
        "Architectures at equal size",
        "Kaplan et al. 2020, Figures 7 and 17. Test loss against size (grey: rates that validation rejected; "
        "the line joins Transformers of the best shapes), and the excess over those interpolated at the same N, "
        "with {level} intervals from seeds.",
    ),
    "architecture_positions": (
        "Architectures along the context",
        "Kaplan et al. 2020, Figure 7 right. Test loss by position, means between powers of two. The paper's LSTMs "
        "match Transformers early in the context and stop improving before 100 tokens.",
    ),
    "transfer": (
        "Loss on other texts",
        "Kaplan et al. 2020, Figure 8. Left: loss on every text against size. Right: loss on other texts against that "
        "on the training text, with lines of slope 1; numbers at their ends are fitted slopes. Hollow points are runs "
        "on less data, less far in training.",
    ),
    "context_positions": (
        "Loss along the context",
        "Kaplan et al. 2020, Figure 20 left, and the power of N by position.",
    ),
    "context_training": (
        "Loss along the context during training",
        "Kaplan et al. 2020, Figure 20 right. Validation loss at ranges of positions against tokens processed, of the "
        "run with the most evaluations. The paper shows 774M parameters and fits nothing here.",
    ),
    "context_sizes": (
        "Positions against size, and short contexts",
        "Kaplan et al. 2020, Figure 21. Left: loss at ranges of positions against size. Right: what models of a short "
        "context gain on the positions that they share with those of a long one.",
    ),
    "learning_rate": (
        "The best peak learning rate",
        "Kaplan et al. 2020, appendix D.6. Left: a parabola of loss in log rate at each size. Right: best rates with "
        "{level} intervals, both forms of a rule, and Eq D.1, which the paper tuned at far larger batches.",
    ),
    "schedules": (
        "Schedules",
        "Kaplan et al. 2020, Figure 22. Final test loss against the learning rate summed over steps. The paper finds "
        "schedules alike but for those that do not decay to zero.",
    ),
    "datasets": (
        "Several datasets on one grid",
        "Loss against size (N: {params}) in nats per token and bits per byte, and the ratio of nats per token in every "
        "cell. By the first principle of Kaplan et al. 2020, section 4, a vocabulary rescales the loss by one factor.",
    ),
}

_IN_SENTENCE = 3  # findings; the table has all


def statement(fit: Fit) -> Markup:
    """The first findings of an experiment in words."""
    found = [entry for entry in fit.record["findings"] if entry["status"] == "ok"][:_IN_SENTENCE]
    return Markup("; ").join(_in_words(entry) for entry in found) + Markup(".")


def _in_words(entry: Mapping[str, Any]) -> Markup:
    unit = f" {entry['unit']}" if entry["unit"] else ""
    published = "" if entry["published"] is None else f", published {number(entry['published'])}"
    return Markup("{} {}{}{}").format(entry["quantity"], estimate(entry), unit, published)


def finding_rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every finding as a row of a table; a refused one with its reason."""
    return [
        entry | {"published_text": MISSING if entry["published"] is None else number(entry["published"])}
        for entry in record.get("findings", [])
    ]

"""The eight headline claims of Kaplan et al. 2020, and what decides each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scaling_lab.fits.evidence import (
    ABSENT,
    FAILS,
    HOLDS,
    OPEN,
    Evidence,
    Judgement,
    Statistic,
    bounds_of,
    by_interval,
    contains,
    statistic,
)

SHAPE_FACTOR, SHAPE_PERCENT = 40.0, 3.0  # section 3.1: within 3 % over a factor of 40 in aspect ratio
CLEAR = 4.0  # difference of AICc from which one form is called better than another
SCATTER = 0.02  # relative: the scatter that section 4 works with
NO_GROWTH = 0.30  # power of N of the critical batch: a factor of two per factor of ten in N
NEARLY_CONVERGED = 0.02  # above the converged loss: what appendix B compares with


def _weakly_on_shape(evidence: Evidence) -> Judgement:
    """Claim 1: the largest increase over a factor of 40 in aspect ratio around the best."""
    study, document = evidence.require("shape", "shape")
    statistics, worst = [], None
    for panel in document["panels"]:
        entry = largest_in_window(panel["values"], panel["increase_percent"], SHAPE_FACTOR)
        published = SHAPE_PERCENT if panel["axis"] == "aspect_ratio" else None
        name = f"largest increase, {panel['label']} within a factor of {SHAPE_FACTOR:.0f}, %"
        statistics.append(statistic(name, entry, study, "shape", published))
        if panel["axis"] == "aspect_ratio" and (worst is None or entry["value"] > worst["value"]):
            worst = entry
    if worst is None:
        return Judgement(statistics, OPEN, "no series of aspect ratios at one size")
    verdict, why = by_interval(worst, -1.0, SHAPE_PERCENT, "the largest increase in per cent over aspect ratios")
    return Judgement(statistics, verdict, f"{why}; the paper's limit is {SHAPE_PERCENT:g} %")


def largest_in_window(
    values: Sequence[float], increase: Sequence[Mapping[str, Any]], factor: float
) -> Mapping[str, Any]:
    """The largest increase among shapes within `factor` of each other, around the best, the kindest such window."""
    best = min(range(len(values)), key=lambda place: increase[place]["value"])
    windows = [
        [place for place, value in enumerate(values) if low <= value <= factor * low]
        for low in values
        if low <= values[best] <= factor * low
    ]
    largest = [max((increase[place] for place in window), key=lambda entry: entry["value"]) for window in windows]
    widest = max(len(window) for window in windows)
    return min(
        (entry for entry, window in zip(largest, windows, strict=True) if len(window) == widest),
        key=lambda e: e["value"],
    )


def _power_laws(evidence: Evidence) -> Judgement:
    """Claim 2: no other form of L(N), L(D) or L(C) is clearly better than a pure power law."""
    published = {"params": 0.076, "tokens": 0.095, "compute": 0.057}
    statistics: list[Statistic] = []
    worse, without = [], []
    for fit, exponent in published.items():
        found = evidence.find(fit, {"params": "model_size", "tokens": "data_size", "compute": "compute"}[fit])
        if found is None or found[1]["status"] != "ok":
            without.append(fit)
            continue
        study, document = found
        statistics.append(statistic(f"exponent of L({fit})", document["parameters"]["alpha"], study, fit, exponent))
        gain = _gain_over_power(document)
        if gain is not None:
            entry = {"value": gain, "interval": None}
            statistics.append(
                statistic(f"AICc of a pure power law of {fit} less that with a constant", entry, study, fit)
            )
            worse += [fit] if gain > CLEAR else []
    if not statistics:
        return Judgement([], ABSENT, "no study fits `params`, `tokens` or `compute`")
    if worse:
        return Judgement(statistics, FAILS, f"a constant beside the power is clearly better for {', '.join(worse)}")
    if without:
        return Judgement(statistics, OPEN, f"no law of {', '.join(without)} to judge by")
    return Judgement(statistics, HOLDS, f"no constant lowers AICc by more than {CLEAR:g}")


def _gain_over_power(document: Mapping[str, Any]) -> float | None:
    forms = document.get("alternatives") or {}
    plain, offset = (forms.get(form, {}).get("aicc") for form in ("power", "power_offset"))
    return None if plain is None or offset is None else float(plain - offset)


def _overfitting(evidence: Evidence) -> Judgement:
    """Claim 3: alpha_N / alpha_D of the early-stopped surface contains 0.74, and the surface describes the runs."""
    study, document = evidence.require("early_stopped", "size_and_data")
    entry = document["derived"]["overfitting_exponent"]
    scatter = document["diagnostics"]["residual_sd_log"]
    statistics = [
        statistic("alpha_N / alpha_D", entry, study, "early_stopped", 0.74),
        statistic("relative scatter about Eq 1.5", {"value": scatter}, study, "early_stopped", SCATTER),
    ]
    interval = entry["interval"]
    if interval is None:
        return Judgement(statistics, OPEN, "the bootstrap gave no interval")
    if scatter > SCATTER:
        why = f"Eq 1.5 leaves a scatter of {scatter:.1%}, above 2 %: one variable does not describe these runs"
        return Judgement(statistics, FAILS, f"{why}; its exponent is {bounds_of(entry)}")
    inside = contains(entry, 0.74)
    wide = interval["high"] > 2 * interval["low"]
    verdict = OPEN if wide else HOLDS if inside else FAILS
    return Judgement(
        statistics, verdict, f"the exponent {bounds_of(entry)} {'contains' if inside else 'excludes'} 0.74"
    )


def _training_curves(evidence: Evidence) -> Judgement:
    """Claim 4: L(N, S_min) describes the curves of all sizes within the scatter of section 4."""
    study, document = evidence.require("training_law", "training_curves")
    scatter = document["diagnostics"]["residual_sd_log"]
    published = {"alpha_N": 0.077, "alpha_S": 0.76}
    statistics = [
        statistic(name, document["parameters"][name], study, "training_law", value) for name, value in published.items()
    ]
    statistics.append(statistic("relative scatter of the curves", {"value": scatter}, study, "training_law", SCATTER))
    verdict = HOLDS if scatter <= SCATTER else FAILS
    return Judgement(
        statistics, verdict, f"one law for all sizes leaves a relative scatter of {scatter:.1%}; the limit is 2 %"
    )


def _transfer(evidence: Evidence) -> Judgement:
    """Claim 5: the slope of loss on other texts contains 1 for every text."""
    study, document = evidence.require("transfer", "transfer")
    texts = [text for text in document["texts"].values() if text["slope"]["interval"]]
    statistics = [statistic(f"slope, {text['name']}", text["slope"], study, "transfer", 1.0) for text in texts]
    off = [t["name"] for t in texts if not contains(t["slope"], 1)]
    if off:
        return Judgement(
            statistics, FAILS, f"the slope differs from 1 for {', '.join(off)}: the offset is not constant"
        )
    return Judgement(statistics, HOLDS, "every slope's interval contains 1")


def _sample_efficiency(evidence: Evidence) -> Judgement:
    """Claim 6: the tokens to a fixed loss fall with size."""
    study, document = evidence.require("sample_efficiency", "sample_efficiency")
    entry = document["parameters"]["alpha"]
    statistics = [statistic("tokens to a fixed loss fall as N to this power", entry, study, "sample_efficiency")]
    verdict, why = by_interval(entry, 0.0, float("inf"), "the power by which tokens fall")
    return Judgement(statistics, verdict, why)


def _before_convergence(evidence: Evidence) -> Judgement:
    """Claim 7: the optimum of Appendix B lies clearly above the converged loss, 10 % by the paper."""
    study, document = evidence.require("frontier", "compute")
    entry = document["derived"]["above_converged"]
    statistics = [statistic("loss at the optimum above the converged", entry, study, "frontier", 0.10)]
    data = evidence.find("compute_min", "compute")
    if data is not None and data[1]["status"] == "ok":
        exponent = data[1]["derived"]["tokens_exponent"]
        statistics.append(statistic("data grow as C_min to this power", exponent, data[0], "compute_min", 0.27))
    verdict, why = by_interval(entry, NEARLY_CONVERGED, float("inf"), "the share above the converged loss")
    return Judgement(statistics, verdict, why)


def _critical_batch(evidence: Evidence) -> Judgement:
    """Claim 8: the powers of the sizes, one each, differ neither in B_crit at a shared loss nor in exponent."""
    study, document = evidence.require("critical_batch", "batch_size")
    statistics = [statistic("alpha_B", document["parameters"]["alpha_B"], study, "critical_batch", 0.21)]
    sizes = document["by_size"]
    if sizes["status"] != "ok":
        return Judgement(statistics, OPEN, f"one power for each size: {sizes['reason']['message']}")
    trends = {
        "growth": f"power of N by which B_crit grows at a loss of {sizes['loss']:.3g}",
        "steepening": "change of 1 / alpha_B per factor of ten in N",
    }
    statistics += [statistic(name, sizes[key], study, "critical_batch", 0.0) for key, name in trends.items()]
    if any(sizes[key]["interval"] is None for key in trends):
        return Judgement(statistics, OPEN, "the bootstrap of one power for each size gave no interval")
    told = [f"the {name} is {bounds_of(sizes[key])}" for key, name in trends.items()]
    apart = [words for key, words in zip(trends, told, strict=True) if not contains(sizes[key], 0.0)]
    if apart:
        return Judgement(statistics, FAILS, f"{' and '.join(apart)}, and 0 where the loss alone matters")
    within = max(abs(bound) for bound in (sizes["growth"]["interval"]["low"], sizes["growth"]["interval"]["high"]))
    verdict = HOLDS if within <= NO_GROWTH else OPEN
    limit = f"; up to {NO_GROWTH:.2f}, a factor of two per factor of ten in N, counts as none"
    return Judgement(statistics, verdict, " and ".join(told) + limit)


CLAIMS: Mapping[str, Callable[[Evidence], Judgement]] = {
    "Loss depends strongly on size, data and compute, weakly on shape": _weakly_on_shape,
    "Loss is a power law in each of size, data and compute when the others are ample": _power_laws,
    "Overfitting is a function of N^0.74 / D": _overfitting,
    "Training curves follow one power law whose parameters do not depend on size": _training_curves,
    "Loss on another text is that on the training text plus a constant": _transfer,
    "Larger models reach a loss on fewer tokens": _sample_efficiency,
    "Compute-optimal training stops well before convergence": _before_convergence,
    "The critical batch is a power of the loss alone": _critical_batch,
}
"""Every claim with its judge (papers.md A.0)."""

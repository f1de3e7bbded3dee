"""The eight headline claims of Kaplan et al. 2020, each decided by a statistic of the studies' fits, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling_lab.fits.inconsistencies import paper_readings
from scaling_lab.fits.output import write_json

HOLDS, FAILS, OPEN, ABSENT = "holds", "does not hold", "not identifiable", "not measured"
SHAPE_FACTOR, SHAPE_PERCENT = 40.0, 3.0  # section 3.1: within 3 % over a factor of 40 in aspect ratio
CLEAR = 4.0  # difference of AICc from which one form is called better than another
SCATTER = 0.02  # relative: the scatter that section 4 works with
NO_GROWTH = 0.30  # power of N of the critical batch: a factor of two per factor of ten in N
NEARLY_CONVERGED = 0.02  # above the converged loss: what appendix B compares with
Statistic = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """The fits of all studies, as they were written; a fit is looked for in the studies in order."""

    fits: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]]  # by fit: (study, document)

    def find(self, fit: str, *preferred: str) -> tuple[str, Mapping[str, Any]] | None:
        """A fit that is not refused, of a preferred study if possible; else a refused one; else None."""
        found = sorted(self.fits.get(fit, ()), key=lambda pair: (pair[1]["status"] != "ok", _rank(pair[0], preferred)))
        return found[0] if found else None

    def require(self, fit: str, study: str) -> tuple[str, Mapping[str, Any]]:
        """The same, of `study` if possible. Raises _NoEvidenceError where the fit is absent or refused."""
        found = self.find(fit, study)
        if found is None:
            raise _NoEvidenceError(Judgement([], ABSENT, f"no study fits `{fit}`; switch on the study {study}"))
        if found[1]["status"] != "ok":
            reason = found[1]["reason"]["message"]
            raise _NoEvidenceError(Judgement([], OPEN, f"`{fit}` of study {found[0]} is refused: {reason}"))
        return found


def _rank(study: str, preferred: Sequence[str]) -> int:
    return preferred.index(study) if study in preferred else len(preferred)


@dataclass(frozen=True)
class Judgement:
    """What was measured for a claim, and the verdict with its reason."""

    statistics: list[Statistic]
    verdict: str
    why: str


class _NoEvidenceError(Exception):
    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.why)
        self.judgement = judgement


def judge_claims(studies: Sequence[str], results: Path, output: Path) -> None:
    """Write claims.json: for each claim its statistics with intervals and its verdict, and the paper's own readings."""
    evidence = Evidence(_read(studies, results))
    documents = [document for pairs in evidence.fits.values() for _, document in pairs]
    claims = [
        {"number": number, "claim": claim, **vars(_judged(judge, evidence))}
        for number, (claim, judge) in enumerate(CLAIMS.items(), start=1)
    ]
    simulated = any(document["provenance"]["simulated"] for document in documents)
    write_json(
        output, {"paper": "Kaplan et al. 2020", "simulated": simulated, "claims": claims, "readings": paper_readings()}
    )


def _read(studies: Sequence[str], results: Path) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for study in studies:
        for path in sorted((results / "fits" / study).glob("*.json")):
            found.setdefault(path.stem, []).append((study, json.loads(path.read_text(encoding="utf-8"))))
    return found


def _judged(judge: Callable[[Evidence], Judgement], evidence: Evidence) -> Judgement:
    try:
        return judge(evidence)
    except _NoEvidenceError as absent:
        return absent.judgement


def _statistic(name: str, entry: Mapping[str, Any], study: str, fit: str, published: float | None = None) -> Statistic:
    return {
        "name": name, "value": entry["value"], "interval": entry.get("interval"), "published": published,
        "study": study, "fit": fit,
    }  # fmt: skip


def _by_interval(entry: Mapping[str, Any], low: float, high: float, words: str) -> tuple[str, str]:
    """Holds where the interval lies within [low, high], does not where it lies outside, else not identifiable."""
    interval = entry.get("interval")
    if interval is None:
        return OPEN, f"{words}: the bootstrap gave no interval"
    bounds = f"{words} is {entry['value']:.3g} ({interval['low']:.3g} to {interval['high']:.3g})"
    if interval["high"] < low or interval["low"] > high:
        return FAILS, bounds
    if interval["low"] >= low and interval["high"] <= high:
        return HOLDS, bounds
    return OPEN, f"{bounds}, on both sides of the limit"


def _weakly_on_shape(evidence: Evidence) -> Judgement:
    """Claim 1: the largest increase over a factor of 40 in aspect ratio around the best."""
    study, document = evidence.require("shape", "shape")
    statistics, worst = [], None
    for panel in document["panels"]:
        entry = largest_in_window(panel["values"], panel["increase_percent"], SHAPE_FACTOR)
        published = SHAPE_PERCENT if panel["axis"] == "aspect_ratio" else None
        name = f"largest increase, {panel['label']} within a factor of {SHAPE_FACTOR:.0f}, %"
        statistics.append(_statistic(name, entry, study, "shape", published))
        if panel["axis"] == "aspect_ratio" and (worst is None or entry["value"] > worst["value"]):
            worst = entry
    if worst is None:
        return Judgement(statistics, OPEN, "no series of aspect ratios at one size")
    verdict, why = _by_interval(worst, -1.0, SHAPE_PERCENT, "the largest increase in per cent over aspect ratios")
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
        statistics.append(_statistic(f"exponent of L({fit})", document["parameters"]["alpha"], study, fit, exponent))
        gain = _gain_over_power(document)
        if gain is not None:
            entry = {"value": gain, "interval": None}
            statistics.append(
                _statistic(f"AICc of a pure power law of {fit} less that with a constant", entry, study, fit)
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
        _statistic("alpha_N / alpha_D", entry, study, "early_stopped", 0.74),
        _statistic("relative scatter about Eq 1.5", {"value": scatter}, study, "early_stopped", SCATTER),
    ]
    interval = entry["interval"]
    if interval is None:
        return Judgement(statistics, OPEN, "the bootstrap gave no interval")
    bounds = f"({interval['low']:.2g} to {interval['high']:.2g})"
    if scatter > SCATTER:
        why = f"Eq 1.5 leaves a scatter of {scatter:.1%}, above 2 %: one variable does not describe these runs"
        return Judgement(statistics, FAILS, f"{why}; its exponent is {entry['value']:.2g} {bounds}")
    inside = interval["low"] <= 0.74 <= interval["high"]
    wide = interval["high"] > 2 * interval["low"]
    verdict = OPEN if wide else HOLDS if inside else FAILS
    return Judgement(
        statistics, verdict, f"the exponent {entry['value']:.2g} {bounds} {'contains' if inside else 'excludes'} 0.74"
    )


def _training_curves(evidence: Evidence) -> Judgement:
    """Claim 4: L(N, S_min) describes the curves of all sizes within the scatter of section 4."""
    study, document = evidence.require("training_law", "training_curves")
    scatter = document["diagnostics"]["residual_sd_log"]
    published = {"alpha_N": 0.077, "alpha_S": 0.76}
    statistics = [
        _statistic(name, document["parameters"][name], study, "training_law", value)
        for name, value in published.items()
    ]
    statistics.append(_statistic("relative scatter of the curves", {"value": scatter}, study, "training_law", SCATTER))
    verdict = HOLDS if scatter <= SCATTER else FAILS
    return Judgement(
        statistics, verdict, f"one law for all sizes leaves a relative scatter of {scatter:.1%}; the limit is 2 %"
    )


def _transfer(evidence: Evidence) -> Judgement:
    """Claim 5: the slope of loss on other texts contains 1 for every text."""
    study, document = evidence.require("transfer", "transfer")
    texts = [text for text in document["texts"].values() if text["slope"]["interval"]]
    statistics = [_statistic(f"slope, {text['name']}", text["slope"], study, "transfer", 1.0) for text in texts]
    off = [t["name"] for t in texts if not t["slope"]["interval"]["low"] <= 1 <= t["slope"]["interval"]["high"]]
    if off:
        return Judgement(
            statistics, FAILS, f"the slope differs from 1 for {', '.join(off)}: the offset is not constant"
        )
    return Judgement(statistics, HOLDS, "every slope's interval contains 1")


def _sample_efficiency(evidence: Evidence) -> Judgement:
    """Claim 6: the tokens to a fixed loss fall with size."""
    study, document = evidence.require("sample_efficiency", "sample_efficiency")
    entry = document["parameters"]["alpha"]
    statistics = [_statistic("tokens to a fixed loss fall as N to this power", entry, study, "sample_efficiency")]
    verdict, why = _by_interval(entry, 0.0, float("inf"), "the power by which tokens fall")
    return Judgement(statistics, verdict, why)


def _before_convergence(evidence: Evidence) -> Judgement:
    """Claim 7: the optimum of Appendix B lies clearly above the converged loss, 10 % by the paper."""
    study, document = evidence.require("frontier", "compute")
    entry = document["derived"]["above_converged"]
    statistics = [_statistic("loss at the optimum above the converged", entry, study, "frontier", 0.10)]
    data = evidence.find("compute_min", "compute")
    if data is not None and data[1]["status"] == "ok":
        exponent = data[1]["derived"]["tokens_exponent"]
        statistics.append(_statistic("data grow as C_min to this power", exponent, data[0], "compute_min", 0.27))
    verdict, why = _by_interval(entry, NEARLY_CONVERGED, float("inf"), "the share above the converged loss")
    return Judgement(statistics, verdict, why)


def _critical_batch(evidence: Evidence) -> Judgement:
    """Claim 8: the powers of the sizes, one each, differ neither in B_crit at a shared loss nor in exponent."""
    study, document = evidence.require("critical_batch", "batch_size")
    statistics = [_statistic("alpha_B", document["parameters"]["alpha_B"], study, "critical_batch", 0.21)]
    sizes = document["by_size"]
    if sizes["status"] != "ok":
        return Judgement(statistics, OPEN, f"one power for each size: {sizes['reason']['message']}")
    trends = {
        "growth": f"power of N by which B_crit grows at a loss of {sizes['loss']:.3g}",
        "steepening": "change of 1 / alpha_B per factor of ten in N",
    }
    statistics += [_statistic(name, sizes[key], study, "critical_batch", 0.0) for key, name in trends.items()]
    if any(sizes[key]["interval"] is None for key in trends):
        return Judgement(statistics, OPEN, "the bootstrap of one power for each size gave no interval")
    told = [f"the {name} is {_bounds(sizes[key])}" for key, name in trends.items()]
    apart = [words for key, words in zip(trends, told, strict=True) if not _contains(sizes[key], 0.0)]
    if apart:
        return Judgement(statistics, FAILS, f"{' and '.join(apart)}, and 0 where the loss alone matters")
    within = max(abs(bound) for bound in (sizes["growth"]["interval"]["low"], sizes["growth"]["interval"]["high"]))
    verdict = HOLDS if within <= NO_GROWTH else OPEN
    limit = f"; up to {NO_GROWTH:.2f}, a factor of two per factor of ten in N, counts as none"
    return Judgement(statistics, verdict, " and ".join(told) + limit)


def _bounds(entry: Mapping[str, Any]) -> str:
    return f"{entry['value']:.2g} ({entry['interval']['low']:.2g} to {entry['interval']['high']:.2g})"


def _contains(entry: Mapping[str, Any], value: float) -> bool:
    return bool(entry["interval"]["low"] <= value <= entry["interval"]["high"])


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


def measured(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The claims of claims.json that a study bears on."""
    return (claim for claim in document["claims"] if claim["verdict"] != ABSENT)

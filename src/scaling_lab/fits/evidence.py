"""What a claim is judged by (fits of all studies, statistics, intervals) and what a judgement is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HOLDS, FAILS, OPEN, ABSENT = "holds", "does not hold", "not identifiable", "not measured"
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
        """The same, of `study` if possible. Raises NoEvidenceError where the fit is absent or refused."""
        found = self.find(fit, study)
        if found is None:
            raise NoEvidenceError(Judgement([], ABSENT, f"no study fits `{fit}`; switch on the study {study}"))
        if found[1]["status"] != "ok":
            reason = found[1]["reason"]["message"]
            raise NoEvidenceError(Judgement([], OPEN, f"`{fit}` of study {found[0]} is refused: {reason}"))
        return found


def _rank(study: str, preferred: Sequence[str]) -> int:
    return preferred.index(study) if study in preferred else len(preferred)


@dataclass(frozen=True)
class Judgement:
    """What was measured for a claim, and the verdict with its reason."""

    statistics: list[Statistic]
    verdict: str
    why: str


class NoEvidenceError(Exception):
    """A fit that a claim needs is absent or refused; `judgement` says so."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.why)
        self.judgement = judgement


def statistic(name: str, entry: Mapping[str, Any], study: str, fit: str, published: float | None = None) -> Statistic:
    """An estimate of a fit under a name, with the paper's number."""
    return {
        "name": name, "value": entry["value"], "interval": entry.get("interval"), "published": published,
        "study": study, "fit": fit,
    }  # fmt: skip


def by_interval(entry: Mapping[str, Any], low: float, high: float, words: str) -> tuple[str, str]:
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


def bounds_of(entry: Mapping[str, Any]) -> str:
    """`0.34 (0.04 to 0.7)`, of an estimate that has an interval."""
    return f"{entry['value']:.2g} ({entry['interval']['low']:.2g} to {entry['interval']['high']:.2g})"


def contains(entry: Mapping[str, Any], value: float) -> bool:
    """Whether the interval of an estimate that has one holds a value."""
    return bool(entry["interval"]["low"] <= value <= entry["interval"]["high"])

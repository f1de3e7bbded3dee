"""Why a plan is not to be trusted: what its study failed to show, each reason a code and a sentence. Often none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scaling_lab.fits.rates import COLUMN as SWEPT
from scaling_lab.fits.rates import RateEvidence

FAR = 10.0  # times the largest run, beyond which nobody has checked that a law holds
OUTSIDE = 3.0  # times the largest size or token count of the grid
LARGEST_ERROR = 0.03  # mean relative error of the backtest, above which it is a miss
FEW_DEGREES = 4  # of freedom of the seed noise
WIDENED = 2.0  # how much wider log N* is known with a departure than without, from which it is said
# Choices of the fit; what N and C count are questions, not choices.
_VARIED = ("objective", "outliers", "cheapest runs")
BASIS = {"hoffmann": "parametric", "kaplan": "kaplan", "isoflop": "isoflop_parabola"}
"""The approach that a plan rests on, by the plan's basis."""
_SAME = 0.01  # relative difference of budgets that are one

Reason = dict[str, str]


@dataclass(frozen=True)
class Evidence:
    """The documents of a study (None where it has none) and the fit that decides."""

    plan: Mapping[str, Any]
    backtest: Mapping[str, Any] | None
    noise: Mapping[str, Any] | None
    approaches: Mapping[str, Any] | None
    sensitivity: Mapping[str, Any] | None
    surface: Mapping[str, Any] | None  # the document of the law that decides
    rates: RateEvidence | None

    @property
    def basis(self) -> str | None:
        """The law that decides."""
        basis: str | None = self.plan["basis"]
        return basis


def reasons_against(budget: Mapping[str, Any], evidence: Evidence) -> list[Reason]:
    """Every reason not to trust the plan of one budget, the weightiest first."""
    if budget["status"] != "ok":
        return []
    sources = (_laws, _backtest, _extrapolation, _departure, _spread, _approaches, _rates, _seeds)
    return [{"code": code, "message": text} for source in sources for code, text in source(budget, evidence)]


Found = Iterator[tuple[str, str]]


def _laws(budget: Mapping[str, Any], evidence: Evidence) -> Found:
    """Refused laws, an offset that the runs do not identify, draws without an optimum."""
    if budget["law"] is None:
        yield (
            "no_surface",
            "no law of L(N, D) could be fitted: size and data are power laws, and no loss is predicted",
        )
    for name, reason in evidence.plan["reasons"].items():
        if reason and reason["code"] != "not_fitted":
            yield "refused_law", f"{name} was refused: {reason['message']}"
    if evidence.surface and evidence.surface["diagnostics"].get("offset_identified") is False:
        yield "offset_not_identified", "the irreducible loss is not identified: losses far beyond the runs are a guess"
    for note in budget["warnings"]:
        if "no interior optimum" in note:
            yield "no_optimum", note


def _backtest(budget: Mapping[str, Any], evidence: Evidence) -> Found:
    """What the deciding law predicted for the dearest runs without having seen them."""
    outcome = (evidence.backtest or {"laws": {}})["laws"].get(evidence.basis)
    if outcome is None or outcome["status"] != "ok":
        yield "no_backtest", "no backtest supports it: the law could not be fitted without the most expensive runs"
        return
    error, share, n = outcome["mean_absolute_relative_error"], outcome["coverage"], outcome["n"]
    if error > LARGEST_ERROR:
        yield "failed_backtest", f"fitted without the {n} dearest runs it missed them by {100 * error:.1f} % on average"
    elif 2 * share < 1:
        yield "narrow_intervals", f"its intervals held {round(share * n)} of {n} dearest runs that it had not seen"


def _extrapolation(budget: Mapping[str, Any], evidence: Evidence) -> Found:
    """How far the budget, the size and the tokens lie beyond what was trained."""
    largest, model = evidence.plan["largest_run"], budget["model"]
    beyond = {
        "the budget": (budget["flops"] / largest["flops"], 1.001 * FAR),
        "the best size": (model["params"] / largest["params"], OUTSIDE),
        "the best token count": (model["tokens"] / largest["tokens"], OUTSIDE),
    }
    far = [f"{name} {_times(factor)}" for name, (factor, allowed) in beyond.items() if factor > allowed]
    if far:
        yield "extrapolation", f"it lies outside the grid: {', '.join(far)} times the largest that was trained"


def _times(factor: float) -> str:
    return f"{factor:.3g}" if factor < 1000 else f"{factor:,.0f}"


def _count(parameters: float) -> str:
    """Three digits, without a power of ten: 1,890,000."""
    return f"{float(f'{parameters:.3g}'):,.0f}"


def _departure(budget: Mapping[str, Any], evidence: Evidence) -> Found:
    """A departure from the law that is most of what is not known."""
    varied = evidence.sensitivity
    if varied is None or varied["status"] != "ok" or abs(varied["flops"] / budget["flops"] - 1) > _SAME:
        return
    found = varied.get("departure")
    if found is not None and found["widening"] > WIDENED:
        exact = found["exact"]["params"]
        yield (
            "departs_from_law",
            (
                f"losses depart from the law by {100 * found['median']:.2g} %: its interval of N* is"
                f" {found['widening']:.2g} times as wide (in log N*) as if the law were exact,"
                f" {_count(exact['low'])} to {_count(exact['high'])}"
            ),
        )


def _spread(budget: Mapping[str, Any], evidence: Evidence) -> Found:
    """Choices of the fit that move N* by more than its own interval."""
    varied = evidence.sensitivity
    if varied is None or varied["status"] != "ok" or budget["law"] is None:
        return
    if abs(varied["flops"] / budget["flops"] - 1) > _SAME:  # it was measured at another budget
        return
    wide = budget["law"]["params_opt"]["intervals"]
    for group in _VARIED:
        sizes = varied["spread"].get(group, {}).get("params")
        if sizes and wide and (sizes["low"] < wide[-1]["low"] or sizes["high"] > wide[-1]["high"]):
            yield (
                "choice_decides",
                (
                    f"another choice of {group} puts N* between {_count(sizes['low'])} and {_count(sizes['high'])},"
                    f" outside its {100 * wide[-1]['level']:.0f} % interval"
                ),
            )


def _approaches(budget: Mapping[str, Any], evidence: Evidence) -> Found:
    """Approaches whose N* at this budget contradicts that of the approach that decides."""
    own, others = BASIS.get(evidence.basis or ""), []
    for pair in (evidence.approaches or {}).get("disagreements", []):
        names = [pair["first"], pair["second"]]
        if own in names and any(abs(flops / budget["flops"] - 1) < _SAME for flops in pair["departed_budgets"]):
            others += [name.replace("_", " ") for name in names if name != own]
    if others:
        yield (
            "approaches_disagree",
            f"N* by {', '.join(others)} differs from it beyond the intervals of both",
        )


def _rates(budget: Mapping[str, Any], evidence: Evidence) -> Found:
    """Runs off their best learning rate, and a model beyond the sizes at which it was measured."""
    rates = evidence.rates
    if rates is None:
        yield "no_rates", "no sweep measured the best learning rate of its runs: rates off their best tilt the laws"
        return
    if rates.off:
        yield (
            "rates_off",
            (
                f"{len(rates.off)} of {rates.known} runs that sweeps speak for lose more than {rates.threshold:.2%} by"
                " their learning rate: the laws are tilted"
            ),
        )
    factor = budget["model"][SWEPT] / rates.largest
    if factor > 1:
        yield (
            "rate_extrapolated",
            (
                f"the best learning rate was measured up to {_count(rates.largest)} parameters without embeddings; the"
                f" model has {_times(factor)} times that"
            ),
        )


def _seeds(budget: Mapping[str, Any], evidence: Evidence) -> Found:
    """Too few seeds to know the noise."""
    noise = evidence.noise
    if noise is None or noise["status"] != "ok":
        yield "no_seeds", "no cell has three seeds: what a run differs by from its like is not measured"
    elif noise["pooled"]["degrees_of_freedom"] < FEW_DEGREES:
        freedom = noise["pooled"]["degrees_of_freedom"]
        yield "few_seeds", f"the noise of seeds rests on {freedom} degrees of freedom"

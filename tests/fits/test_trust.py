"""Each reason not to trust a plan fires on what it names, and a good study gives none."""

from copy import deepcopy
from typing import Any

import pytest

from scaling_lab.fits.rates import RateEvidence
from scaling_lab.fits.trust import Evidence, reasons_against

INTERVALS = [{"level": 0.8, "low": 0.9e6, "high": 1.1e6}, {"level": 0.95, "low": 0.8e6, "high": 1.2e6}]
GOOD: dict[str, Any] = {
    "budget": {
        "flops": 1e15, "status": "ok", "warnings": [], "law": {"params_opt": {"value": 1e6, "intervals": INTERVALS}},
        "model": {"params": 1e6, "tokens": 1e8, "params_non_embedding": 1e6},
    },
    "plan": {
        "basis": "hoffmann", "reasons": {"hoffmann": None, "kaplan": {"code": "not_fitted", "message": ""}},
        "largest_run": {"flops": 1e15, "params": 1e6, "tokens": 1e8},
    },
    "backtest": {"laws": {"hoffmann": {
        "status": "ok", "mean_absolute_relative_error": 0.004, "coverage": 0.9, "n": 10}}},
    "noise": {"status": "ok", "pooled": {"degrees_of_freedom": 6}},
    "approaches": {"disagreements": []},
    "sensitivity": {"status": "ok", "flops": 1e15, "departure": {
        "median": 0.02, "widening": 1.9, "exact": {"params": {"low": 0.95e6, "high": 1.05e6}}},
        "spread": {"objective": {"params": {"low": 0.9e6, "high": 1.1e6}}}},
    "surface": {"diagnostics": {"offset_identified": True}},
    "rates": RateEvidence(40, (), 0.0025, 2e6),
}  # fmt: skip
REFUSED = {"code": "not_identified", "message": "too flat"}
PAIR = {
    "first": "isoflop_akima",
    "second": "parametric",
    "exponent": False,
    "budgets": [1e15],
    "departed_budgets": [1e15],
}


def codes(*path: str, value: Any = None) -> list[str]:
    """Codes of the reasons where the entry at `path` is `value`; without a path, of the good study."""
    documents = deepcopy(GOOD)
    if path:
        node = documents
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
    budget = documents.pop("budget")
    return [reason["code"] for reason in reasons_against(budget, Evidence(**documents))]


def test_a_good_study_gives_none() -> None:
    assert codes() == []


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("budget", "law"), None, "no_surface"),
        (("plan", "reasons", "kaplan"), REFUSED, "refused_law"),
        (("surface", "diagnostics", "offset_identified"), False, "offset_not_identified"),
        (("budget", "warnings"), ["12% of the draws have no interior optimum"], "no_optimum"),
        (("backtest", "laws"), {}, "no_backtest"),
        (("backtest", "laws", "hoffmann", "mean_absolute_relative_error"), 0.05, "failed_backtest"),
        (("backtest", "laws", "hoffmann", "coverage"), 0.3, "narrow_intervals"),
        (("plan", "largest_run", "flops"), 1e13, "extrapolation"),
        (("budget", "model", "params"), 4e6, "extrapolation"),
        (("budget", "model", "tokens"), 4e8, "extrapolation"),
        (("sensitivity", "spread", "objective", "params"), {"low": 0.5e6, "high": 1e6}, "choice_decides"),
        (("sensitivity", "departure", "widening"), 2.5, "departs_from_law"),
        (("approaches", "disagreements"), [PAIR], "approaches_disagree"),
        (("rates",), None, "no_rates"),
        (("rates",), RateEvidence(40, ("a", "b"), 0.0025, 2e6), "rates_off"),
        (("rates",), RateEvidence(40, (), 0.0025, 0.5e6), "rate_extrapolated"),
        (("noise",), {"status": "refused"}, "no_seeds"),
        (("noise", "pooled", "degrees_of_freedom"), 2, "few_seeds"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str, ...], value: Any, code: str) -> None:
    assert codes(*path, value=value) == [code]


def test_what_was_measured_at_another_budget_says_nothing() -> None:
    assert codes("sensitivity", value=GOOD["sensitivity"] | {"flops": 5e15}) == []
    assert codes("approaches", "disagreements", value=[PAIR | {"departed_budgets": [5e15]}]) == []
    assert codes("approaches", "disagreements", value=[PAIR | {"second": "kaplan"}]) == []


def test_what_a_departure_explains_is_no_disagreement() -> None:
    assert codes("approaches", "disagreements", value=[PAIR | {"departed_budgets": []}]) == []


def test_a_refused_plan_has_its_own_reason_already() -> None:
    assert codes("budget", "status", value="refused") == []

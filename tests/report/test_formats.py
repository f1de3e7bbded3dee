"""Numbers for people."""

from typing import Any

import pytest

from scaling_lab.report.formats import count, estimate, flops, number, percent, spread


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(7_700_352, "7.7 M"), (469_202.8, "469 k"), (812, "812"), (999_999, "1 M"), (1.2e9, "1.2 B"), (None, "n/a")],
)
def test_counts(value: float | None, shown: str) -> None:
    assert plain(count(value)) == shown


def test_flops_are_powers_of_ten() -> None:
    assert flops(1.2e13) == "1.2\u00d710¹³"
    assert flops(1e12) == "10¹²"


def entry(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "se": 0.1, "interval": {"level": 0.9, "low": low, "high": high}}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (entry(4.2093, 4.1871, 4.2449), "4.209 (4.187 to 4.245)"),
        (entry(0.0956, 0.0813, 0.1144), "0.096 (0.081 to 0.114)"),
        (entry(7.4e9, 8.1e8, 5.8e10), "7.4\u00d710⁹ (8.1\u00d710⁸ to 5.8\u00d710¹⁰)"),
        (entry(0.0, 0.0, 0.4), "0.00 (0.00 to 0.40)"),
    ],
)
def test_estimates_show_two_digits_of_their_width_and_keep_the_rest(given: dict[str, Any], shown: str) -> None:
    assert estimate(given) == f'<span title="{given["value"]!r}">{shown}</span>'


def test_an_estimate_without_an_interval_is_its_value() -> None:
    assert ">0.5<" in estimate({"value": 0.5, "se": None, "interval": None})


def test_other_numbers() -> None:
    assert plain(percent(0.0336)) == "3.4 %"
    assert number(float("nan")) == "n/a"
    assert number(123456.0) == "1.2\u00d710⁵"
    assert ">2.270 to 2.290<" in spread({"low": 2.2701, "high": 2.2899})
    assert ">2.1 to 2.6<" not in spread({"low": 2.1, "high": 2.6})  # losses keep two decimals
    assert ">2.10 to 2.60<" in spread({"low": 2.1, "high": 2.6})

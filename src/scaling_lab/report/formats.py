"""Numbers for people. Every one keeps its unrounded value in a tooltip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from scaling_lab.figures.labels import rounded

_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
MISSING = "n/a"


def exact(text: str, value: Any) -> Markup:
    """`text` with the unrounded value as its tooltip."""
    return Markup('<span title="{}">{}</span>').format(repr(value), text)


def count(value: float | None, digits: int = 3) -> str:
    """7.7 M, 469 k, 812: parameters, tokens, steps."""
    if value is None:
        return MISSING
    value = float(f"{value:.{digits}g}")
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:.{digits}g}\N{NO-BREAK SPACE}{unit}"
    return f"{value:g}"


def flops(value: float | None) -> str:
    """1.8 x 10^13 with a multiplication sign and superscripts."""
    return MISSING if value is None else rounded(value)


def number(value: float | None, decimals: int | None = None) -> str:
    """A fitted number: fixed decimals, or three significant digits with a power of ten where that is shorter."""
    if value is None or not math.isfinite(value):
        return MISSING
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value and (abs(value) >= 10_000 or abs(value) < 1e-3):
        return rounded(value) if value > 0 else f"-{rounded(-value)}"
    return f"{value:.3g}"


def percent(value: float | None, decimals: int = 1) -> str:
    """A share as per cent."""
    return MISSING if value is None else f"{100 * value:.{decimals}f}\N{NO-BREAK SPACE}%"


def decimals_for(value: float, bounds: Sequence[float]) -> int | None:
    """Decimals that show two digits of an interval's width; None where powers of ten serve better."""
    if any(abs(x) >= 10_000 for x in (value, *bounds)) or (value and abs(value) < 1e-3):
        return None
    width = max(bounds) - min(bounds)
    return min(4, max(0, 1 - math.floor(math.log10(width)))) if width > 0 else 3


def estimate(entry: Mapping[str, Any]) -> Markup:
    """`0.096 (0.081 to 0.114)` for an estimate of a fit."""
    interval = entry["interval"]
    if interval is None:
        return exact(number(entry["value"]), entry["value"])
    bounds = (interval["low"], interval["high"])
    decimals = decimals_for(entry["value"], bounds)
    text = f"{number(entry['value'], decimals)} ({number(bounds[0], decimals)} to {number(bounds[1], decimals)})"
    return exact(text, entry["value"])


def spread(interval: Mapping[str, float], as_count: bool = False) -> Markup:
    """`436 k to 499 k` or `2.27 to 2.29`, with both unrounded ends as the tooltip."""
    low, high = interval["low"], interval["high"]
    if as_count:
        text = f"{count(low)} to {count(high)}"
    else:
        decimals = max(2, decimals_for(low, (low, high)) or 0)
        text = f"{low:.{decimals}f} to {high:.{decimals}f}"
    return exact(text, [low, high])


FILTERS = {
    "count": count,
    "flops": flops,
    "number": number,
    "percent": percent,
    "estimate": estimate,
    "spread": spread,
    "exact": exact,
}
"""What the templates call these by."""

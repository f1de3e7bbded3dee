"""Losses in other units: nats per token to bits per token, per character or per byte."""

from __future__ import annotations

from math import log
from typing import Any


def bits_per_token(nats: Any) -> Any:
    """L / log 2."""
    return nats / log(2)


def bits_per_unit(nats: Any, units_per_token: Any) -> Any:
    """L / log 2 / units per token: bits per byte or per character, which tokenizers can be compared by."""
    return nats / log(2) / units_per_token

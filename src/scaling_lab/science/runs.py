"""A table of finished runs as the approaches to N*(C) read it."""

from __future__ import annotations

from dataclasses import dataclass

from scaling_lab.science.laws import Array


@dataclass(frozen=True)
class Runs:
    """Finished runs [n]: N, D, training FLOPs and loss in nats, N and C by conventions of the caller."""

    params: Array
    tokens: Array
    flops: Array
    loss: Array

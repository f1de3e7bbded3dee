"""Trunks: the constant-rate part that wsd runs of several horizons share, as a chain of segments. Light.

Each run leaves the trunk at its branch point, `RunSpec.branch_tokens`, and is then its cooldown alone. A segment ends
at a branch point and starts at the one before it, so that a longer horizon adds one segment and one cooldown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scaling_lab.science.accounting import FlopsConvention
from scaling_lab.spec import RunSpec


@dataclass(frozen=True)
class Trunk:
    """A trunk and the branch points, in tokens, that runs leave it at, in order.

    spec: its shortest segment, and as such independent of the runs: what its id is a digest of.
    """

    spec: RunSpec
    branches: tuple[int, ...]

    def before(self, tokens: int) -> int | None:
        """The branch point before the one at `tokens`: where its segment starts. None is the beginning."""
        return max((branch for branch in self.branches if branch < tokens), default=None)

    def segment(self, tokens: int) -> RunSpec:
        """What is trained up to the branch point at `tokens`."""
        return self.spec.trunk_segment(tokens)

    @property
    def segments(self) -> list[tuple[int, int]]:
        """(start, end) in tokens of each segment."""
        return [(self.before(branch) or 0, branch) for branch in self.branches]


def find_trunks(specs: Iterable[RunSpec]) -> dict[str, Trunk]:
    """Trunks by id of the runs that have one."""
    members: dict[str, list[RunSpec]] = {}
    for spec in specs:
        if spec.shares_trunk:
            members.setdefault(spec.trunk_id, []).append(spec)
    return {trunk: _trunk(runs) for trunk, runs in members.items()}


def _trunk(runs: list[RunSpec]) -> Trunk:
    branches = sorted({spec.branch_tokens for spec in runs})
    return Trunk(runs[0].trunk_root, tuple(branches))


def own_tokens(spec: RunSpec) -> int:
    """Tokens that a run is trained on by itself: all of them, or its cooldown."""
    return spec.tokens - spec.branch_tokens if spec.shares_trunk else spec.tokens


def flops_spent(specs: Iterable[RunSpec], convention: FlopsConvention) -> float:
    """Training FLOPs that the runs really cost together: each trunk once, up to its last branch point.

    The sum of `RunSpec.flops` is what they would cost apart, and what laws are fitted to.
    """
    return _spent(
        (spec.flops(convention), 1 - own_tokens(spec) / spec.tokens, spec.trunk_id if spec.shares_trunk else "")
        for spec in specs
    )


def flops_spent_of_rows(rows: Iterable[Mapping[str, Any]], column: str) -> float:
    """The same for rows of runs.parquet and one of its FLOPs columns; tables from before trunks have none."""
    return _spent((row[column], row.get("trunk_tokens", 0) / row["tokens"], row.get("trunk", "")) for row in rows)


def _spent(runs: Iterable[tuple[float, float, str]]) -> float:
    """Of (FLOPs, share of them in the trunk, id of the trunk)."""
    own, trunks = 0.0, {"": 0.0}
    for flops, share, trunk in runs:
        own += flops * (1 - share)
        trunks[trunk] = max(trunks.get(trunk, 0.0), flops * share)
    return own + sum(trunks.values())

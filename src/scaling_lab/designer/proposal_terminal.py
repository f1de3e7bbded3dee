"""Proposed cells on the terminal: what each costs and tells, and the blocks to put into the study's grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from scaling_lab.designer.study_file import FlatLists, grid_blocks
from scaling_lab.fits.folders import StudyFolder
from scaling_lab.fits.terminal import WIDTH, lines, number
from scaling_lab.science.design import width_of

if TYPE_CHECKING:
    from scaling_lab.designer.proposals import Proposal


def print_proposal(proposal: Proposal, folder: StudyFolder) -> None:
    """The decision as it stands, the cells in the order of their choice, what is expected of them, and the YAML."""
    console, request = Console(width=WIDTH), proposal.request
    spent, convention = proposal.bench.flops, proposal.setting.flops
    lines(console, [
        f"decision: the best size at {request.target:.4g} FLOPs ({convention}), of study {folder.name}",
        f"now: N* known within {width_of(proposal.variance_now):.3g}x (90 %), {proposal.wasted_now:.2g} % of it"
        " expected to be wasted",
        f"noise: {proposal.knowledge.noise_source}",
    ])  # fmt: skip
    console.print(_table(proposal))
    lines(console, [
        f"all of them: {spent:.4g} FLOPs of {request.budget:.4g}; expected then: N* within"
        f" {width_of(proposal.choice.variance):.3g}x, {proposal.wasted_after:.2g} % wasted",
        f"to train them, add to `grid` of config/studies/{folder.name}.yaml (what exists is not retrained):",
    ])  # fmt: skip
    blocks = grid_blocks(proposal.bench.specs)
    lines(console, yaml.dump(blocks, sort_keys=False, width=WIDTH, Dumper=FlatLists).splitlines())
    lines(console, _warnings(proposal), "warning: ")


def _table(proposal: Proposal) -> Table:
    table = Table()
    for heading in ("", "layers x width", "N", "tokens", "FLOPs", "N* within", "gain per FLOP"):
        table.add_column(heading, justify="right", no_wrap=True)
    cells, gains = proposal.bench.cells, np.array(proposal.choice.gains)
    left = proposal.variance_now * np.exp(-np.cumsum(gains))
    rate = gains / cells.flops
    for i, spec in enumerate(proposal.bench.specs):
        shape = f"{spec.architecture.n_layer} x {spec.architecture.d_model}"
        numbers = (number(cells.params[i]), f"{spec.tokens:,}", f"{cells.flops[i]:.3g}", f"{width_of(left[i]):.3g}x")
        table.add_row(str(i + 1), shape, *numbers, f"{rate[i] / rate.max():.2g}")
    return table


def _warnings(proposal: Proposal) -> list[str]:
    notes = []
    if not proposal.knowledge.seeds_measured:
        notes.append("the study has no cell with three seeds: the noise of a run is assumed")
    if proposal.choice.variance > 0.9 * proposal.variance_now:
        notes.append("these runs narrow the interval of N* by less than a twentieth: the decision may be worth more")
    return notes

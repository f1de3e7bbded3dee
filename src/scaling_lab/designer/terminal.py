"""Designs and proposals on the terminal: what is recommended first, then what else was compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from scaling_lab.fits.terminal import WIDTH, lines, number

if TYPE_CHECKING:
    from scaling_lab.designer.design import Candidate, Drawing


def print_design(
    drawing: Drawing,
    candidates: Sequence[Candidate],
    best: Candidate,
    less: Sequence[tuple[float, Candidate]],
    spent: float,
    output: Path,
) -> None:
    """The grid that was chosen, those that it was compared with, and what less money would buy."""
    console, request = Console(width=WIDTH), drawing.request
    lines(console, [
        f"budget {request.budget:.4g} FLOPs ({drawing.setting.flops}) for the best size at"
        f" {request.target:.4g}",
        f"prior: {drawing.trials.source}",
        f"noise: {drawing.knowledge.noise_source}",
        *_bound(request.most_tokens),
        f"of each grid {len(drawing.trials)} studies were simulated and fitted; N* within: 90 % of them decide the best"
        " size up to that factor; wasted: of the target budget, by that size; dearest run: of the grid",
    ])  # fmt: skip
    table = _table()
    for candidate in candidates:
        _row(table, candidate, "chosen" if candidate is best else "")
    if less:
        table.add_section()
    for share, candidate in less:
        _row(table, candidate, f"1/{1 / share:.0f} of the money")
    console.print(table)
    cells = best.bench.cells
    lines(console, [
        f"{output}: {len(best.bench.specs)} cells, {spent:.4g} FLOPs in all ({100 * spent / request.budget:.1f} % of"
        " the budget), seeds included;",
        f"  N {number(cells.params.min())} to {number(cells.params.max())}, D {number(cells.tokens.min())} to"
        f" {number(cells.tokens.max())}, dearest run {cells.flops.max():.3g} FLOPs,"
        f" {request.target / cells.flops.max():.3g} times below the target",
        f"run it: snakemake --cores all --config studies='[{output.stem}]'",
    ])  # fmt: skip
    lines(console, design_warnings(drawing, best), "warning: ")


def design_warnings(drawing: Drawing, best: Candidate) -> list[str]:
    """What the design rests on that nobody has measured, and where it is weak."""
    notes = []
    if "assumed" in drawing.knowledge.noise_source:
        notes.append("noise is assumed, in part or whole; `--study` takes it from a finished study")
    if best.trials.refused:
        notes.append(f"{best.trials.refused} of {len(drawing.trials)} simulated studies were refused a law")
    notes += _of_text(drawing, max(spec.tokens for spec in best.bench.specs))
    ahead = drawing.request.target / float(best.bench.cells.flops.max())
    if ahead > 100:
        notes.append(f"the target lies {ahead:.3g} times beyond the dearest run: a law that bends is not simulated")
    if best.trials.factor() > 2:
        notes.append(f"90 % of the studies miss the best size by up to a factor {best.trials.factor():.2g}: spend more,"
                     " or decide for a nearer target")  # fmt: skip
    return notes


def _bound(most_tokens: float | None) -> list[str]:
    return [] if most_tokens is None else [f"text: no run reads more than {most_tokens:,.0f} tokens, each once"]


def _of_text(drawing: Drawing, most: int) -> list[str]:
    """What the amount of text makes of the cells and of the decision."""
    if drawing.text is None:
        if drawing.request.most_tokens is not None:
            return []
        return [
            f"runs read up to {most:,} tokens, each once, and cannot be trained where the text has fewer; it is not"
            " tokenized yet: `snakemake --until tokenize` first, or `--most-tokens`, bounds them"
        ]
    target = drawing.request.target
    best = float(drawing.frontier.params(target))
    wanted = target / float(drawing.target.cost(np.array(best)))
    if wanted <= drawing.text:
        return []
    return [
        f"at the target the best size, by the prior, reads {wanted:.3g} tokens, {wanted / drawing.text:.2g} times the"
        " text: the decision is for text that is all new; `scaling-lab plan FIT --unique-tokens` prices repetition"
    ]


def _table() -> Table:
    table = Table("grid")
    for heading in ("runs", "FLOPs", "dearest run", "N* within", "wasted, mean", "refused"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    return table


def _row(table: Table, candidate: Candidate, mark: str) -> None:
    trials, cells = candidate.trials, candidate.bench.cells
    table.add_row(
        candidate.name,
        str(len(candidate.bench.specs)),
        f"{candidate.spent:.3g}",
        f"{cells.flops.max():.3g}",
        f"{trials.factor():.3g}x",
        f"{trials.mean_wasted_percent:.2g} %",
        str(trials.refused),
        mark,
    )

"""Which runs a fit uses: named filters, each of which lists what it dropped and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.errors import TableError
from scaling_lab.fits.table import Mask, RunTable
from scaling_lab.science.grouping import SAME, groups_of


@dataclass(frozen=True)
class Filter:
    """One filter that was applied."""

    name: str
    kept: int
    dropped: tuple[tuple[str, str], ...]
    rows: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the fit's record."""
        lines = zip(self.rows, self.dropped, strict=True)
        dropped = [{"row": row, "run": run, "reason": reason} for row, (run, reason) in lines]
        return {"name": self.name, "kept": self.kept, "dropped": dropped}


@dataclass(frozen=True)
class Selection:
    """The runs left, and the filters that left them."""

    table: RunTable
    filters: tuple[Filter, ...] = ()

    def keep(self, name: str, mask: Mask, reasons: Sequence[str]) -> Selection:
        """Keep the rows of `mask`; `reasons[i]` says why row i would be dropped."""
        dropped = tuple(
            (run, reason) for run, reason, kept in zip(self.table.runs, reasons, mask, strict=True) if not kept
        )
        rows = tuple(int(row) for row in self.table.rows[~mask])
        return Selection(self.table.take(mask), (*self.filters, Filter(name, int(mask.sum()), dropped, rows)))

    def dropped_rows(self) -> list[dict[str, Any]]:
        """Every row that a filter dropped: its number in the file, its run, the reason and the filter."""
        return [{**line, "filter": applied.name} for applied in self.filters for line in applied.as_json()["dropped"]]


def status_ok(selection: Selection) -> Selection:
    """Runs whose final losses one law can hold for: those of `of_one_law` that are annealed alike.

    Raises TableError if none finished.
    """
    return annealed(of_one_law(selection))


def of_one_law(selection: Selection) -> Selection:
    """Runs that finished, of one dataset, architecture and way to stop, with layers. Raises TableError if none did."""
    return with_layers(of_one_law_of_any_depth(selection))


def of_one_law_of_any_depth(selection: Selection) -> Selection:
    """The same with the models of embedding and head alone. Raises TableError if no run finished."""
    return one_ending(one_architecture(one_dataset(finished(selection))))


def finished(selection: Selection) -> Selection:
    """Runs that finished, of any dataset and model. Raises TableError if none did."""
    status = selection.table.values("status")
    if not (status == "ok").any():
        raise TableError(f"{selection.table.path}: no run has status ok")
    return selection.keep("status_ok", np.array(status == "ok", dtype=bool), [f"status is {s}" for s in status])


def one_amount(selection: Selection) -> Selection:
    """Runs at the amount of data that the most runs share, the larger of equal ones."""
    table = selection.table
    tokens = table.numbers("tokens")
    groups = groups_of(tokens)
    chosen = max(np.unique(groups), key=lambda group: ((groups == group).sum(), tokens[groups == group].max()))
    amount = tokens[groups == chosen].max()
    reasons = [f"{t:.6g} tokens, not the {amount:.6g} that the most runs share" for t in tokens]
    return selection.keep("one_amount", groups == chosen, reasons)


def with_layers(selection: Selection) -> Selection:
    """Models of embedding and head alone have no non-embedding parameter: no law is one of N = 0.

    Where all models have layers nothing is filtered.
    """
    table = selection.table
    layered = np.array([layers != 0 for layers in table.columns.get("n_layer", np.ones(len(table)))], dtype=bool)
    return selection if layered.all() else selection.keep("with_layers", layered, ["no layers: N is 0"] * len(table))


def one_dataset(selection: Selection) -> Selection:
    """Runs of the dataset that has the most (of equals the first): a law in nats holds for one text and tokenizer.

    Where all runs are of one dataset nothing is filtered.
    """
    if "tokens_id" not in selection.table.columns:
        return selection
    datasets = selection.table.values("tokens_id")
    counts = Counter(datasets.tolist())
    if len(counts) == 1:
        return selection
    chosen = counts.most_common(1)[0][0]
    reasons = [f"dataset is {name}, not {chosen}" for name in datasets]
    return selection.keep("one_dataset", np.array(datasets == chosen, dtype=bool), reasons)


def one_architecture(selection: Selection) -> Selection:
    """The Transformers, or where there are none the most frequent kind: a law holds for one architecture.

    Where all runs are of one kind nothing is filtered.
    """
    kinds = selection.table.columns.get("architecture", np.array([]))
    counts = Counter(kinds.tolist())
    if len(counts) <= 1:
        return selection
    chosen = "transformer" if "transformer" in counts else counts.most_common(1)[0][0]
    reasons = [f"architecture is {kind}, not {chosen}" for kind in kinds]
    return selection.keep("one_architecture", np.array(kinds == chosen, dtype=bool), reasons)


def annealed(selection: Selection) -> Selection:
    """Runs whose rate decays, where some do: the loss of one that never decays is higher (papers.md E.5).

    A batch scan at a constant rate is thus no part of the laws of final losses.
    """
    table = selection.table
    if "schedule_completed" not in table.columns:
        return selection
    decays = table.floats("schedule_completed") > 0
    if decays.all() or not decays.any():
        return selection
    return selection.keep("annealed", decays, ["its rate never decays, as that of other runs does"] * len(table))


def one_ending(selection: Selection) -> Selection:
    """The runs that go on to their horizon: those that stop early are another experiment, `early_stopped`.

    Where all runs are of one kind nothing is filtered.
    """
    stops = _stops_early(selection.table)
    if stops.all() or not stops.any():
        return selection
    return selection.keep("one_ending", ~stops, ["stops when validation does not improve"] * len(stops))


def stopped_early(selection: Selection) -> Selection:
    """The runs that end when their loss on validation does not improve."""
    stops = _stops_early(selection.table)
    return selection.keep("stops_early", stops, ["goes on to its horizon"] * len(stops))


def data_column(table: RunTable) -> str:
    """What D counts: unique tokens where all runs stop early (Kaplan et al. 2020, section 4), else tokens processed."""
    return "unique_tokens" if _stops_early(table).all() else "tokens"


def _stops_early(table: RunTable) -> Mask:
    return np.array(table.columns.get("stops_early", np.zeros(len(table))), dtype=bool)


def largest_tokens(selection: Selection, params_column: str) -> Selection:
    """Runs at the largest amount of data that the most sizes (usually all) were trained on, for L(N)."""
    table = selection.table
    params, tokens = table.numbers(params_column), table.numbers(data_column(table))
    groups = groups_of(tokens)
    sizes = {group: len(np.unique(params[groups == group])) for group in np.unique(groups)}
    chosen = max(sizes, key=lambda group: (sizes[group], tokens[groups == group].max()))
    amount = tokens[groups == chosen].max()
    reasons = [f"{t:.6g} tokens, not the {amount:.6g} that {sizes[chosen]} sizes share" for t in tokens]
    return selection.keep("largest_tokens", groups == chosen, reasons)


def largest_params(selection: Selection, params_column: str) -> Selection:
    """Runs of the largest model trained on four or more amounts of data over a decade or more, for L(D).

    Where no model meets both, the one with the most amounts of data is taken, so that the fit can say what is lacking.
    """
    table = selection.table
    params, tokens = table.numbers(params_column), table.numbers(data_column(table))
    names = np.array(table.models())
    scores = {}
    for name in sorted(set(names)):
        data = tokens[names == name]
        amounts = len(np.unique(groups_of(data)))
        enough = amounts >= 4 and data.max() >= 10 / SAME * data.min()
        scores[name] = (enough, 0 if enough else amounts, params[names == name].max())
    chosen = max(scores, key=lambda name: scores[name])
    largest = scores[chosen][2]
    reasons = [f"{p:.6g} parameters, not the {largest:.6g} of the model chosen for its data series" for p in params]
    return selection.keep("largest_params", np.array(names == chosen), reasons)


def isoflop_groups(selection: Selection, flops_column: str, params_column: str, sizes: int = 4) -> Selection:
    """Runs whose budget, equal within 2 %, was spent on at least `sizes` sizes."""
    table = selection.table
    flops, params = table.numbers(flops_column), table.numbers(params_column)
    groups = groups_of(flops)
    count = {group: len(np.unique(params[groups == group])) for group in np.unique(groups)}
    reasons = [
        f"budget {c:.4g} FLOPs has {count[g]} size(s); at least {sizes}" for c, g in zip(flops, groups, strict=True)
    ]
    return selection.keep("isoflop_groups", np.array([count[g] >= sizes for g in groups], dtype=bool), reasons)

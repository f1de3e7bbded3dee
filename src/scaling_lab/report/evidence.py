"""The measurements behind the answer: other texts, position in the context, runs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import numpy as np

from scaling_lab.figures.inputs import StudyData, model_of
from scaling_lab.report.answer import plan_notes

# The validation set is drawn like the test set; it is in the runs table.
_NOT_TRANSFER = ("validation", "test")


def largest_runs(data: StudyData) -> list[dict[str, Any]]:
    """Of each shape and dataset its run on the most tokens (of several seeds the first), smallest model first."""

    def cell(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return row["tokens_id"], row["params_total"], *model_of(row)

    order = sorted(data.runs, key=lambda row: (*cell(row), -row["tokens"], row["seed"]))
    return [next(rows) for _, rows in groupby(order, cell)]


def transfer(data: StudyData) -> dict[str, Any] | None:
    """Losses on other texts by size, and how far each text lies above the test set (Kaplan et al. 2020, Figure 8)."""
    names = [name for name in _evaluation_sets(data.runs[0]) if name not in _NOT_TRANSFER]
    if not names:
        return None
    rows = largest_runs(data)
    gaps = {
        name: np.array([row[_loss(name)] - row["test_loss_nats"] for row in rows if row[_loss(name)] is not None])
        for name in names
    }
    return {
        "sets": ["test", *names],
        "rows": [_transfer_row(row, ["test", *names], data) for row in rows],
        "gaps": [
            {"set": name, "mean": float(gap.mean()), "low": float(gap.min()), "high": float(gap.max())}
            for name, gap in gaps.items()
        ],
    }


def _transfer_row(row: Mapping[str, Any], sets: list[str], data: StudyData) -> dict[str, Any]:
    cells = [{"nats": row[_loss(name)], "bits_per_byte": row[f"bits_per_byte_{name}"]} for name in sets]
    return _size(row, data) | {"cells": cells}


def _size(row: Mapping[str, Any], data: StudyData) -> dict[str, Any]:
    return {"params": row[data.params_column], "tokens": row["tokens"], "dataset": row["tokens_id"]}


def _evaluation_sets(row: Mapping[str, Any]) -> list[str]:
    return [name.removeprefix("bits_per_byte_") for name in row if name.startswith("bits_per_byte_")]


def _loss(name: str) -> str:
    return f"{name}_loss_nats" if name in _NOT_TRANSFER else f"loss_{name}_nats"


def by_position(data: StudyData) -> dict[str, Any]:
    """Test loss at some positions of the context, by size: positions 1, 2, 4, ... and the last."""
    context = max(len(row["test_loss_by_position_nats"]) for row in data.runs)
    positions = sorted({*(2**k for k in range(context.bit_length()) if 2**k <= context), context})
    rows = []
    for row in largest_runs(data):
        losses = row["test_loss_by_position_nats"]
        cells = [losses[at - 1] if at <= len(losses) else None for at in positions]
        rows.append(_size(row, data) | {"cells": cells})
    return {"positions": positions, "rows": rows}


def run_rows(data: StudyData) -> list[dict[str, Any]]:
    """All runs by size and tokens."""
    return sorted(data.runs, key=lambda row: (row["params_non_embedding"], row["tokens"], row["seed"]))


def warnings(data: StudyData, laws: list[dict[str, Any]], plans: bool) -> list[str]:
    """Runs that diverged, and what fits and, where the study plans, plan and backtest warned of, once, with origin."""
    found = [
        f"Run {row['run']} diverged after {row['diverged_at_tokens']:,} tokens; no fit uses it" for row in data.diverged
    ]
    found += [f"{law['title']}: {note}" for law in laws for note in law["warnings"]]
    found += [f"{law['title']}: refused, {law['reason']['message']}" for law in laws if not law["ok"]]
    if not plans:
        return list(dict.fromkeys(found))
    found += [f"Plan: {note}" for note in plan_notes(data)]
    found += [
        f"Backtest of {name}: refused, {outcome['reason']['message']}"
        for name, outcome in data.backtest["laws"].items()
        if outcome["status"] != "ok"
    ]
    return list(dict.fromkeys(found))


def filters(data: StudyData, laws: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Which runs each law used: its filters by name with what each dropped."""
    return [{"law": law["title"], "filters": law["filters"]} for law in laws]

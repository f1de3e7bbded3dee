"""What the answer hangs on: the approach that is asked, the choices of the fit, single runs."""

from __future__ import annotations

from typing import Any

from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import FLOPS, PARAMS
from scaling_lab.fits.study_plan import ranges_of
from scaling_lab.fits.trust import BASIS
from scaling_lab.report.formats import flops

APPROACHES = {
    "envelope": "1: envelope of the training curves",
    "isoflop_parabola": "2: IsoFLOP, parabolas",
    "isoflop_recentred": "2: IsoFLOP, parabolas re-centred on their minima",
    "isoflop_akima": "2: IsoFLOP, Akima interpolation",
    "parametric": "3: Hoffmann's L(N, D), published grid of starts",
    "variable_projection": "3: Hoffmann's L(N, D), variable projection",
    "kaplan": "Kaplan's L(N, D), its frontier",
    "kaplan_steps": "Kaplan's L(N, S) of the training curves, its frontier",
}
# Words for the causes of `science.causes`.
CAUSES = {
    "grid": "the grid is off its centre",
    "offset": "one law has an irreducible loss, the other has none",
    "schedule": "losses from before the end of a schedule",
    "convention": "what N and C count",
    "departure": "no law is exact",
}
FORMS = {"hoffmann": "Hoffmann's", "kaplan": "Kaplan's"}
_GROUPS = {
    "objective": "objective of the fit",
    "outliers": "outliers left out",
    "cheapest runs": "cheapest runs left out",
    "count of N": "what N counts",
    "count of FLOPs": "what C counts",
}


def approach_view(data: StudyData) -> dict[str, Any]:
    """The table of approaches, which of them disagree, and what each warns of."""
    document, basis = data.approaches, BASIS.get(data.plan["basis"])
    rows = [
        {"label": APPROACHES[name], "basis": name == basis, **found} for name, found in document["approaches"].items()
    ]
    notes: dict[str, list[str]] = {}
    for row in rows:
        for note in row["warnings"]:
            notes.setdefault(note, []).append(row["label"])
    return {
        "level": document["level"],
        "budgets": document["budgets"],
        "rows": rows,
        "ok": sum(row["status"] == "ok" for row in rows),
        "disagreements": [_disagreement(pair) for pair in document["disagreements"]],
        "notes": document["warnings"] + [f"{'; '.join(labels)}: {note}" for note, labels in notes.items()],
        "readings": [_counts(document), *(_counts(reading) for reading in document["by_convention"])],
        "by_approach": _by_approach(document),
        "explanations": [_explanation(pair) for pair in document["explanations"]],
    }


def _counts(reading: dict[str, Any]) -> dict[str, str]:
    """What N and C count in a reading of the runs."""
    return {name: reading["conventions"][name]["label"] for name in ("params", "flops")}


def _by_approach(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Each approach with its slope a, N* and D* by every count of N and C; None where it is refused."""
    readings = [document, *document["by_convention"]]
    cells = {name: [_cell(reading["approaches"][name]) for reading in readings] for name in document["approaches"]}
    return [{"label": APPROACHES[name], "cells": row} for name, row in cells.items()]


def _cell(found: dict[str, Any]) -> dict[str, Any] | None:
    return {"a": found["exponents"]["a"], **found["optima"][0]} if found["status"] == "ok" else None


def _explanation(pair: dict[str, Any]) -> dict[str, Any]:
    """A disagreement, and each cause that was taken away: what was computed, both a, and whether it explains it."""
    trials = [{**trial, "cause": CAUSES[trial["cause"]]} for trial in pair["trials"]]
    explained = dict.fromkeys(trial["cause"] for trial in trials if trial["explains"])
    return {
        "first": APPROACHES[pair["first"]],
        "second": APPROACHES[pair["second"]],
        "trials": trials,
        "verdict": ", ".join(explained) or "none of the known causes",
    }


def _disagreement(pair: dict[str, Any]) -> str:
    """Two approaches, and where their intervals do not overlap: those of exact laws, and those with a departure."""
    exact, departed = (_where(pair, kind) for kind in ("", "departed_"))
    both = f"{APPROACHES[pair['first']]}, against {APPROACHES[pair['second']]}: {exact}"
    if departed == exact:
        return f"{both}; also where losses depart from their laws"
    return f"{both}; where losses depart from their laws {f'only {departed}' if departed else 'they overlap'}"


def _where(pair: dict[str, Any], kind: str) -> str:
    exponent = ["a"] if pair[f"{kind}exponent"] else []
    return ", ".join(exponent + [f"N at {flops(budget)} FLOPs" for budget in pair[f"{kind}budgets"]])


def sensitivity_view(data: StudyData) -> dict[str, Any]:
    """Ranges by kind of choice, every choice, and the runs whose absence moves the law most."""
    document = data.sensitivity
    view = {"ok": document["status"] == "ok", "reason": document["reason"], "isoflop": _isoflop_rows(document)}
    if not view["ok"]:
        return view
    return view | {
        "law": FORMS[document["law"]],
        "flops": document["flops"],
        "params": PARAMS[document["params_column"]],
        "base": document["base"],
        "plan": data.plan["budgets"][0]["law"],
        "spread": [{"label": _GROUPS.get(group, group), **ranges} for group, ranges in ranges_of(document).items()],
        "rows": [{**row, "group": _GROUPS[row["group"]], "choice": _choice(row)} for row in document["rows"]],
        "influential": document["influential"],
    }


def _choice(row: dict[str, Any]) -> str:
    words = {"count of N": PARAMS, "count of FLOPs": FLOPS}.get(row["group"], {})
    choice: str = row["choice"]
    return words.get(choice, choice).replace("`", "")


def _isoflop_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"label": PARAMS[name], **answer} for name, answer in document["isoflop"].items()]

"""What the answer hangs on: the approach that is asked, the choices of the fit, single runs."""

from __future__ import annotations

from typing import Any

from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import FLOPS, PARAMS
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
        "notes": [f"{'; '.join(labels)}: {note}" for note, labels in notes.items()],
    }


def _disagreement(pair: dict[str, Any]) -> str:
    """Two approaches, and where their intervals do not overlap."""
    where = (["a"] if pair["exponent"] else []) + [f"N at {flops(budget)} FLOPs" for budget in pair["budgets"]]
    return f"{APPROACHES[pair['first']]}, against {APPROACHES[pair['second']]}: {', '.join(where)}"


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
        "spread": [{"label": _GROUPS[group], **ranges} for group, ranges in document["spread"].items()],
        "rows": [{**row, "group": _GROUPS[row["group"]], "choice": _choice(row)} for row in document["rows"]],
        "influential": document["influential"],
    }


def _choice(row: dict[str, Any]) -> str:
    words = {"count of N": PARAMS, "count of FLOPs": FLOPS}.get(row["group"], {})
    choice: str = row["choice"]
    return words.get(choice, choice).replace("`", "")


def _isoflop_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"label": PARAMS[name], **answer} for name, answer in document["isoflop"].items()]

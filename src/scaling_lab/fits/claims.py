"""claims.json: every headline claim of Kaplan et al. 2020, judged by the studies' fits, or why it cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scaling_lab.fits.evidence import ABSENT, Evidence, Judgement, NoEvidenceError
from scaling_lab.fits.inconsistencies import paper_readings
from scaling_lab.fits.judges import CLAIMS
from scaling_lab.fits.output import write_json


def judge_claims(studies: Sequence[str], results: Path, output: Path) -> None:
    """Write claims.json: for each claim its statistics with intervals and its verdict, and the paper's own readings."""
    evidence = Evidence(_read(studies, results))
    documents = [document for pairs in evidence.fits.values() for _, document in pairs]
    claims = [
        {"number": number, "claim": claim, **vars(_judged(judge, evidence))}
        for number, (claim, judge) in enumerate(CLAIMS.items(), start=1)
    ]
    simulated = any(document["provenance"]["simulated"] for document in documents)
    write_json(
        output, {"paper": "Kaplan et al. 2020", "simulated": simulated, "claims": claims, "readings": paper_readings()}
    )


def _read(studies: Sequence[str], results: Path) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for study in studies:
        for path in sorted((results / "fits" / study).glob("*.json")):
            found.setdefault(path.stem, []).append((study, json.loads(path.read_text(encoding="utf-8"))))
    return found


def _judged(judge: Callable[[Evidence], Judgement], evidence: Evidence) -> Judgement:
    try:
        return judge(evidence)
    except NoEvidenceError as absent:
        return absent.judgement


def measured(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The claims of claims.json that a study bears on."""
    return (claim for claim in document["claims"] if claim["verdict"] != ABSENT)

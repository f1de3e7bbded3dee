"""The headline claims of Kaplan et al. 2020 in the report: statistics, verdicts, and the paper's two readings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scaling_lab.fits.claims import measured

FEWEST = 3  # claims that a configuration bears on before its report has the section


def claims_view(results: Path) -> dict[str, Any] | None:
    """claims.json, or None where the studies bear on fewer than three claims."""
    path = results / "claims.json"
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document if len(list(measured(document))) >= FEWEST else None

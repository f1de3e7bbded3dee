"""`scaling-lab plan RESULTS/STUDY`: a finished study's decision, for a budget of its plan or for any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scaling_lab.config import TrainingConfig
from scaling_lab.errors import ConfigError
from scaling_lab.fits.budget_plan import plan_one
from scaling_lab.fits.folders import StudyFolder, study_folder
from scaling_lab.fits.output import write_json
from scaling_lab.fits.plan import read_inputs, study_of
from scaling_lab.fits.rates import rate_evidence
from scaling_lab.fits.stored import SURFACES
from scaling_lab.fits.table import read_runs
from scaling_lab.fits.trust import Evidence, reasons_against
from scaling_lab.science.hardware import DEVICES, UTILISATION, Hardware

_DOCUMENTS = ("backtest", "noise", "approaches", "sensitivity")
_SAME = 1e-3  # relative difference of budgets that are one


def run_study_plan(path: Path, flops: float | None, hardware: Hardware | None, output: Path | None) -> None:
    """Decide for `flops` training FLOPs, by default the first budget of the study's plan; print and write.

    A budget of the plan is read from plan.json, any other is planned from the stored fits: nothing is fitted again.

    Raises:
        ConfigError: a budget that is not a positive number.
        TableError: no finished study, or files of it that are missing.
    """
    from scaling_lab.fits.terminal_study_plan import print_study_plan

    folder = study_folder(path)
    document = study_decision(folder, flops, hardware)
    if output is not None:
        write_json(output, document)
    print_study_plan(document)


def study_decision(folder: StudyFolder, flops: float | None, hardware: Hardware | None) -> dict[str, Any]:
    """The plan of one budget with hours, what it hangs on, and why not to trust it."""
    plan = folder.document("plan")
    asked = flops if flops is not None else float(plan["budgets"][0]["flops"])
    if not (0 < asked < float("inf")):
        raise ConfigError(f"the budget is {asked:g} FLOPs; allowed: a positive, finite number")
    stored = [budget for budget in plan["budgets"] if abs(budget["flops"] / asked - 1) < _SAME]
    budget = stored[0] if stored else _planned(folder, plan, asked)
    surface = folder.fit_document(plan["basis"]) if plan["basis"] in SURFACES else None
    backtest, noise, approaches, sensitivity = (folder.optional_document(name) for name in _DOCUMENTS)
    rates = rate_evidence(folder.results, read_runs(folder.runs).runs)
    evidence = Evidence(plan, backtest, noise, approaches, sensitivity, surface, rates)
    return {
        "study": folder.name,
        **budget,
        "basis": plan["basis"],
        "departure": plan.get("departure"),
        "conventions": plan["conventions"],
        "largest_run": plan["largest_run"],
        "hours": hours_of(budget["flops"], hardware),
        "hardware": asdict(hardware) if hardware else None,
        "sensitivity": _sensitivity(sensitivity, asked),
        "do_not_trust_because": reasons_against(budget, evidence),
        "simulated": plan["provenance"]["simulated"],
    }


def hours_of(flops: float, hardware: Hardware | None) -> dict[str, float]:
    """Hours of training by device: of what was named, or of one of each known device at a usual utilisation."""
    if hardware is not None:
        return {"the hardware given": hardware.wall_seconds(flops) / 3600}
    known = {name: Hardware(device.peak_flops, device.source) for name, device in DEVICES.items()}
    return {f"one {name} at {UTILISATION:.0%}": device.wall_seconds(flops) / 3600 for name, device in known.items()}


def ranges_of(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Ranges of every quantity by what was changed, of sensitivity.json: choices, and what is made of the departure."""
    found, level = document.get("departure"), document["provenance"]["options"]["level"]
    if found is None:
        return dict(document["spread"])
    believed = {"the law is exact": "exact", f"losses depart from it by {100 * found['median']:.2g} %": "departed"}
    intervals = {f"{text}, {level:.0%} interval": found[key] for text, key in believed.items()}
    return {**intervals, **document["spread"]}


def _planned(folder: StudyFolder, plan: Mapping[str, Any], flops: float) -> dict[str, Any]:
    training = TrainingConfig.model_validate(plan["provenance"]["options"]["training"])
    inputs = read_inputs(folder.runs, folder.fits, folder.plan_file("backtest"))
    return plan_one(study_of(inputs, training), flops)


def _sensitivity(document: Mapping[str, Any] | None, flops: float) -> dict[str, Any] | None:
    """What the choices of the analysis make of N* and the loss; None where it was measured at another budget."""
    if document is None or document["status"] != "ok" or abs(document["flops"] / flops - 1) > _SAME:
        return None
    return {"spread": ranges_of(document), "influential": document["influential"]}

"""`scaling-lab plan RESULTS/STUDY`: what the study's plan says, or what its stored fits say of another budget."""

import json
from pathlib import Path

import pytest

from scaling_lab.errors import ConfigError
from scaling_lab.fits.folders import study_folder
from scaling_lab.fits.study_plan import hours_of, run_study_plan, study_decision
from scaling_lab.run_commands import plan
from scaling_lab.science.hardware import Hardware


@pytest.fixture
def study(root: Path) -> Path:
    return root / "results" / "simulated"


def test_without_a_budget_the_first_of_the_plan(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_study_plan(study, None, None, tmp_path / "plan.json")
    document = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    stored = study_folder(study).document("plan")["budgets"][0]
    assert document["model"] == stored["model"]
    printed = capsys.readouterr().out
    for words in ("training tokens", "layers of width", "peak rate", "hours:", "compute wasted"):
        assert words in printed


def test_another_budget_lies_between_its_neighbours(study: Path) -> None:
    folder = study_folder(study)
    first, second = folder.document("plan")["budgets"][:2]
    between = study_decision(folder, (first["flops"] * second["flops"]) ** 0.5, None)
    size = between["law"]["params_opt"]["value"]
    assert first["law"]["params_opt"]["value"] < size < second["law"]["params_opt"]["value"]
    assert "extrapolation" in {reason["code"] for reason in between["do_not_trust_because"]}


def test_hours_are_those_of_the_hardware() -> None:
    hardware = Hardware(1e15, "given", 0.5, 4)
    assert hours_of(7.2e21, hardware) == {"the hardware given": pytest.approx(1000)}
    assert {"one a100 at 40%", "one h100-sxm at 40%"} <= set(hours_of(1e20, None))


def test_refusals_name_the_option(study: Path) -> None:
    with pytest.raises(ConfigError, match=r"--batch-rule step: a study has a recipe of its own"):
        plan(study, flops=1e15, batch_rule="step")
    with pytest.raises(ConfigError, match="the budget is -1 FLOPs"):
        run_study_plan(study, -1.0, None, None)

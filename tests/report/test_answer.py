"""The answer in words turns with the evidence: good backtests, misses, contradictions, refusals."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from scaling_lab.figures.inputs import StudyData
from scaling_lab.report.answer import answer_paragraphs, bits_per_byte, plan_notes, reasons_not_to_trust, regret_rows


def changed(results: Path, folder: Path, name: str, change: Any) -> StudyData:
    """The simulated study with one of its plan files altered."""
    shutil.copytree(results, folder, ignore=shutil.ignore_patterns("figures", "runs", "curves.parquet"))
    path = folder / "plans" / "simulated" / f"{name}.json"
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    return StudyData("simulated", folder)


def test_a_good_backtest_is_reported_without_alarm(results: Path) -> None:
    text = " ".join(answer_paragraphs(StudyData("simulated", results), 2.7))
    assert "How far to trust it" in text
    assert "do not rely" not in text


def test_a_missed_backtest_is_called_a_miss(results: Path, tmp_path: Path) -> None:
    def miss(backtest: dict[str, Any]) -> None:
        backtest["laws"]["hoffmann"]["mean_absolute_relative_error"] = 0.08

    text = " ".join(answer_paragraphs(changed(results, tmp_path / "r", "backtest", miss), 2.7))
    assert "mean error of 8.0\N{NO-BREAK SPACE}%" in text
    assert "That is a miss" in text


def test_what_speaks_against_the_plan_names_its_budgets(results: Path, tmp_path: Path) -> None:
    def miss(backtest: dict[str, Any]) -> None:
        backtest["laws"]["hoffmann"]["mean_absolute_relative_error"] = 0.08

    good = reasons_not_to_trust(StudyData("simulated", results))
    assert any("the budget 100, " in reason for reason in good)
    assert not any("missed them" in reason for reason in good)
    bad = reasons_not_to_trust(changed(results, tmp_path / "r", "backtest", miss))
    assert any("missed them by 8.0 % on average (all budgets)" in reason for reason in bad)


def test_a_law_that_promises_less_than_was_measured_is_contradicted(results: Path, tmp_path: Path) -> None:
    def worse(plan: dict[str, Any]) -> None:
        plan["budgets"][0]["model"]["loss"]["value"] = 6.5

    text = " ".join(answer_paragraphs(changed(results, tmp_path / "r", "plan", worse), None))
    assert "predicts 6.50 nats where a smaller budget already measured" in text


def test_a_plan_by_isoflop_alone_predicts_no_loss(results: Path, tmp_path: Path) -> None:
    def alone(plan: dict[str, Any]) -> None:
        plan["basis"] = "isoflop"
        for budget in plan["budgets"]:
            budget["law"] = budget["model"]["loss"] = None

    data = changed(results, tmp_path / "r", "plan", alone)
    text = " ".join(answer_paragraphs(data, 2.7))
    assert "No loss is predicted" in text
    assert "Expect a test loss" not in text
    assert regret_rows(data) == []


def test_notes_appear_once_with_their_budgets(results: Path, tmp_path: Path) -> None:
    def warn(plan: dict[str, Any]) -> None:
        for budget, notes in zip(plan["budgets"], (["a", "b"], ["a"], ["a"]), strict=True):
            budget["flops"], budget["warnings"] = 1e15, notes

    assert plan_notes(changed(results, tmp_path / "r", "plan", warn)) == ["a (all budgets)", "b (10¹⁵ FLOPs)"]


def test_regret_grows_away_from_the_best_size(results: Path) -> None:
    for row in regret_rows(StudyData("simulated", results)):
        quarter, half, double, fourfold = (cell["compute_percent"] for cell in row["cells"])
        assert quarter > half > 0
        assert fourfold > double > 0


def test_bits_per_byte() -> None:
    assert bits_per_byte(1.7, 1.0) == pytest.approx(2.452582, abs=1e-6)

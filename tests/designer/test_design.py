"""`scaling-lab design`: a study that snakemake can run, within its budget, or a clear refusal."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scaling_lab.designer.cells import load_setting
from scaling_lab.designer.design import DesignRequest, run_design
from scaling_lab.designer.knowledge import tokens_of_text
from scaling_lab.designer.study_file import SEEDS
from scaling_lab.errors import ConfigError, TableError
from scaling_lab.experiment import load_experiment


def design(root: Path, name: str, budget: float, target: float, study: Path | None = None, **bounds: Any) -> str:
    output = root / "config" / "studies" / f"{name}.yaml"
    run_design(root, (), None, DesignRequest(budget, target, **bounds), (), study, None, output)
    return name


def runs_of(root: Path, name: str) -> Any:
    raw = yaml.safe_load((root / "config" / "config.yaml").read_text(encoding="utf-8")) | {"studies": [name]}
    return load_experiment(raw, root / "config" / "studies").study_runs[name].values()


def test_the_study_is_valid_and_costs_at_most_its_budget(root: Path) -> None:
    money = 3.3e13
    specs = runs_of(root, design(root, "designed", money, 5e14))
    study = yaml.safe_load((root / "config" / "studies" / "designed.yaml").read_text(encoding="utf-8"))
    assert study["plan"] == {"budgets": [5e14], "budget_multiples": []}
    spent = sum(spec.flops("matmul") for spec in specs)
    assert 0.3 * money < spent <= money
    assert {spec.seed for spec in specs} == set(SEEDS)


def test_bounds_on_runs_hold(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = design(root, "bounded", 1e13, 1e15, most_runs=20, largest_run=5e11, most_tokens=2e6)
    specs = [spec for spec in runs_of(root, name) if spec.seed == 0]
    assert len(specs) <= 20
    assert max(spec.flops("matmul") for spec in specs) <= 5e11
    assert max(spec.tokens for spec in specs) <= 2e6
    printed = capsys.readouterr().out
    assert "no run reads more than 2,000,000 tokens" in printed
    assert "--most-tokens" not in printed


def test_a_finished_study_gives_law_and_noise(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = design(root, "continued", 1e13, 1e15, root / "results" / "simulated")
    printed = " ".join(capsys.readouterr().out.split())
    assert "hoffmann, as" in printed
    assert "it is not tokenized yet" in printed
    assert "measured in" in printed
    assert {spec.seed for spec in runs_of(root, name)} == {0}
    assert "simulated" in printed


@pytest.fixture
def text(root: Path) -> Iterator[int]:
    """A token store of the configuration's text, 1.5 million training tokens, for one test."""
    dataset = load_setting(root, (), None).datasets
    folders = [root / "results" / "tokens" / name for name in dataset]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"sets": {"train": {"tokens": 1_500_000}}}))
    yield 1_500_000
    shutil.rmtree(root / "results" / "tokens")


class TestText:
    def test_no_cell_reads_more_than_there_is(self, root: Path, text: int, capsys: pytest.CaptureFixture[str]) -> None:
        specs = runs_of(root, design(root, "short", 3.3e13, 5e14))
        assert max(spec.tokens for spec in specs) <= text
        printed = " ".join(capsys.readouterr().out.split())
        assert "text: no run reads more than 1,500,000 tokens" in printed
        assert "times the text: the decision is for text that is all new" in printed

    def test_more_than_there_is_cannot_be_asked_for(self, root: Path, text: int) -> None:
        with pytest.raises(ConfigError, match=r"--most-tokens 2e\+06: the text has 1,500,000 training tokens"):
            design(root, "refused", 1e13, 1e15, most_tokens=2e6)

    def test_the_shortest_of_several_texts_bounds_the_runs(self, root: Path, text: int) -> None:
        (name,) = load_setting(root, (), None).datasets
        assert tokens_of_text(root / "results", [name, "not tokenized yet"]) == text
        assert tokens_of_text(root / "results", ["not tokenized yet"]) is None


@pytest.mark.parametrize(
    ("budget", "target", "message"),
    [
        (1e13, 1e12, "is within --budget"),
        (-1.0, 1e12, "--budget -1"),
        (1e5, 1e12, "pays for no grid"),
        (1e13, float("nan"), "--target nan"),
    ],
)
def test_refusals_name_the_amount(root: Path, budget: float, target: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        design(root, "refused", budget, target)
    assert not (root / "config" / "studies" / "refused.yaml").exists()


def test_a_study_that_is_not_there_is_named_with_those_that_are(root: Path) -> None:
    with pytest.raises(TableError, match=r"no finished study.*results/ has simulated"):
        design(root, "refused", 1e13, 1e15, root / "results" / "nothing")

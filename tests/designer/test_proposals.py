"""`scaling-lab next`: cells within a hard budget that are not trained yet, or a clear refusal."""

from pathlib import Path

import pytest
import yaml

from scaling_lab.config import GridBlock
from scaling_lab.designer.cells import load_setting
from scaling_lab.designer.design import DesignRequest
from scaling_lab.designer.proposals import Proposal, propose, run_next
from scaling_lab.errors import ConfigError, TableError
from scaling_lab.fits.folders import StudyFolder, study_folder
from scaling_lab.fits.table import read_runs


@pytest.fixture(scope="session")
def folder(root: Path) -> StudyFolder:
    return study_folder(root / "results" / "simulated")


def proposed(root: Path, folder: StudyFolder, budget: float, most_runs: int = 12) -> Proposal:
    setting = load_setting(root, (), "simulated")
    return propose(folder, setting, DesignRequest(budget, 3e14, most_runs))


@pytest.mark.parametrize("budget", [1e11, 1e13])
def test_cells_are_new_and_cost_at_most_the_budget(root: Path, folder: StudyFolder, budget: float) -> None:
    proposal = proposed(root, folder, budget)
    assert 0 < proposal.bench.flops <= budget
    assert not {spec.run_id for spec in proposal.bench.specs} & set(read_runs(folder.runs).runs)
    assert proposal.choice.variance < proposal.variance_now
    assert min(spec.tokens for spec in proposal.bench.specs) >= min(read_runs(folder.runs).numbers("tokens"))
    assert 0 < proposal.wasted_after < proposal.wasted_now


def test_more_money_leaves_less_doubt(root: Path, folder: StudyFolder) -> None:
    poor, rich = (proposed(root, folder, budget) for budget in (1e11, 3e13))
    assert rich.choice.variance < poor.choice.variance


def test_prints_blocks_for_the_grid(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_next(root / "results" / "simulated", 1e13, None, 5, None, None, (), root)
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line.startswith(("- shapes", "  tokens", "  seeds"))]
    blocks = [GridBlock.model_validate(block) for block in yaml.safe_load("\n".join(lines))]
    assert 1 <= sum(len(block.shapes) * len(block.tokens) for block in blocks) <= 5


def test_a_budget_that_pays_for_nothing_is_refused(root: Path) -> None:
    with pytest.raises(TableError, match="no run of at most"):
        run_next(root / "results" / "simulated", 1e6, None, 5, None, None, (), root)
    with pytest.raises(ConfigError, match="--budget 0"):
        run_next(root / "results" / "simulated", 0.0, None, 5, None, None, (), root)

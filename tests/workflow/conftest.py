"""A copy of the repository in which the smoke study has run, for tests that edit it and ask what would run again."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SMOKE = ("--configfile", "config/smoke.yaml")


@dataclass(frozen=True)
class Workflow:
    """A clone with its own results."""

    root: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run snakemake in the clone; standard error is in stdout."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        return subprocess.run(
            command, cwd=self.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Jobs by rule that a dry run of the smoke study announces."""
        result = self.snakemake("-n", *(arguments or SMOKE))
        assert result.returncode == 0, result.stdout
        table = re.search(r"Job stats:\njob +count\n-+ +-+\n(.*?)\ntotal", result.stdout, re.S)
        if table is None:
            assert "Nothing to be done" in result.stdout, result.stdout
            return {}
        return {rule: int(count) for rule, count in (line.split() for line in table[1].splitlines())}

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace `old`, which must occur, in a file of the clone."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")


def copy_repository(target: Path) -> Workflow:
    """What git tracks or would track, at `target`."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = REPOSITORY / name
        if source.exists() or source.is_symlink():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
    return Workflow(target)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The smoke study, run once from nothing. Tests read it, or edit a copy."""
    workflow = copy_repository(tmp_path_factory.mktemp("smoke") / "clone")
    result = workflow.snakemake(*SMOKE)
    assert result.returncode == 0, result.stdout
    (workflow.root / "snakemake.log").write_text(result.stdout, encoding="utf-8")
    return workflow


@pytest.fixture
def workflow(finished: Workflow, tmp_path: Path) -> Workflow:
    """A copy of the finished clone, with its times, at the same depth: free to edit."""
    shutil.copytree(finished.root, tmp_path / "clone", symlinks=True)
    return Workflow(tmp_path / "clone")

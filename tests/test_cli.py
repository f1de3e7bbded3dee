import subprocess
import sys
from pathlib import Path

import pytest

from scaling_lab import cli
from scaling_lab.errors import InterruptedTrainingError

HEAVY = ("torch", "lightning", "mlflow", "pandas", "matplotlib", "scipy")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scaling_lab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["scaling_lab.cli", "scaling_lab.experiment", "scaling_lab.progress"])
def test_what_starts_often_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_count_prints_the_published_size_of_gpt2() -> None:
    result = run("count", "--n-layer", "12", "--d-model", "768", "--tokens", "1e9")
    assert result.returncode == 0
    assert "124,439,808" in result.stdout
    assert "509,607,936" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("count", "--n-layer", "1", "--d-model", "7", "--n-head", "2"), "n_head 2 does not divide d_model 7"),
        (("status", "--results", "/nonexistent"), "/nonexistent/runs: no runs here"),
        (("fetch-corpus", "mine", "no.txt", "--output", "x/documents.parquet"), "no.txt"),
    ],
)
def test_errors_are_one_line_and_exit_two(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_interrupted_training_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise InterruptedTrainingError("SIGTERM: stopped at step 7 with a checkpoint")

    monkeypatch.setattr(cli, "app", interrupted)
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    assert exit_info.value.code == 75
    assert capsys.readouterr().err == "scaling-lab: SIGTERM: stopped at step 7 with a checkpoint\n"

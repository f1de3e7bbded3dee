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


def cell(output: str, row: str, column: int = 1) -> str:
    """A cell of a printed table: the row that starts with `row`."""
    return next(line.split("│")[1 + column].strip() for line in output.splitlines() if line.startswith(f"│ {row} "))


def test_count_sets_published_models_side_by_side() -> None:
    """GPT-2 as released, and Chinchilla: rows of Table A9 are published models too."""
    output = run("count", "gpt2", "gpt2-xl", "hoffmann-1018m", "chinchilla").stdout
    assert cell(output, "params_total") == "124,439,808"
    assert cell(output, "params_total", 2) == "1,557,611,200"
    assert int(cell(output, "params_total", 3).replace(",", "")) == pytest.approx(1018e6, rel=0.008)
    assert int(cell(output, "hoffmann", 4).replace(",", "")) * 1.4e12 == pytest.approx(5.6825e23, rel=1e-4)


def test_count_of_recurrent_models() -> None:
    """8 L d^2 gates of an LSTM; a Universal Transformer computes with each weight as often as it is passed."""
    lstm = run("count", "--n-layer", "2", "--d-model", "512", "--lstm").stdout
    assert cell(lstm, "gates") == cell(lstm, "params_non_embedding") == f"{8 * 2 * 512**2:,}"
    plain = run("count", "--n-layer", "6", "--d-model", "512").stdout
    reused = run("count", "--n-layer", "1", "--d-model", "512", "--reuse", "6").stdout
    assert cell(reused, "params_with_reuse") == cell(plain, "params_non_embedding")
    assert cell(reused, "matmul") == cell(plain, "matmul")
    assert "params_with_reuse" not in plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("count", "gpt5"), "no published model 'gpt5'; allowed: gpt2, "),
        (("count",), "name a published model, or give --n-layer and --d-model"),
        (("count", "--n-layer", "1", "--d-model", "64", "--lstm", "--reuse", "2"), "an LSTM has no heads"),
        (("count", "--n-layer", "1", "--d-model", "64", "--reuse", "0"), "reuse is 0; allowed: 1 or more"),
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

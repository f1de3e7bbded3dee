"""What a user may get wrong with a text: one clear message, and what was finished stays."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.workflow.conftest import SMOKE, Workflow, copy_repository

from scaling_lab.corpus.sources import read_sample

pytestmark = pytest.mark.slow


def short(path: Path) -> None:
    """Enough text for a tokenizer, too little for the largest run."""
    path.write_text("\n\n".join(document.text for document in read_sample())[:150_000])


@pytest.mark.parametrize(
    ("write", "messages"),
    [
        (lambda path: path.write_text(""), ["my.txt", "holds no text"]),
        (lambda path: path.write_bytes(b"text\0\xff\xfe" * 100), ["my.txt", "offset 5"]),
        (short, ["subset of ", "add text or ask for fewer"]),
    ],
    ids=["empty", "binary", "too short"],
)
def test_a_bad_text_is_named_and_what_was_finished_stays(
    workflow: Workflow, write: Callable[[Path], None], messages: list[str]
) -> None:
    finished = {p: p.stat().st_mtime_ns for p in workflow.root.glob("results/runs/*/summary.json")}
    write(workflow.root / "my.txt")
    workflow.edit("config/smoke.yaml", "corpus: sample", "corpus: {name: mine, paths: [my.txt]}")
    result = workflow.snakemake(*SMOKE)
    assert result.returncode != 0
    line = next(line for line in result.stdout.splitlines() if line.startswith("scaling-lab: "))
    assert all(message in line for message in messages), line
    assert "Traceback" not in result.stdout
    assert {p: p.stat().st_mtime_ns for p in finished} == finished


def test_several_nodes_without_slurm_are_refused_before_anything_runs(tmp_path: Path) -> None:
    workflow = copy_repository(tmp_path / "clone")
    overlay = "{nodes: 2, training: {batch: {coefficient: 128, exponent: 0}}}"
    (workflow.root / "nodes.yaml").write_text(overlay)
    result = workflow.snakemake(*SMOKE, "nodes.yaml")
    assert result.returncode != 0
    assert "nodes: 2 are asked for, and this is no process of a SLURM job; allowed: 1, or `--prof" in result.stdout
    assert not list(workflow.root.glob("results/*/*"))

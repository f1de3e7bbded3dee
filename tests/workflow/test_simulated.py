"""The whole smoke study with the trainer replaced by planted laws: no text, no torch, and every artifact says so."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.workflow.conftest import SMOKE, Workflow, copy_repository

pytestmark = pytest.mark.slow

PLANTED = (*SMOKE, "config/planted.yaml")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = copy_repository(tmp_path_factory.mktemp("simulated") / "clone")
    result = workflow.snakemake(*PLANTED)
    assert result.returncode == 0, result.stdout
    return workflow


def documents(workflow: Workflow, pattern: str) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted((workflow.root / "results").glob(pattern))]


def test_nothing_is_fetched_tokenized_or_trained(simulated: Workflow) -> None:
    results = simulated.root / "results"
    assert not any((results / name).exists() for name in ("sources", "corpora", "tokens"))
    assert not list(results.glob("runs/*/checkpoints"))
    assert simulated.planned(*PLANTED) == {}


def test_every_artifact_says_that_it_is_simulated(simulated: Workflow) -> None:
    results = simulated.root / "results"
    assert all(path.name.startswith("simulated-") for path in (results / "runs").iterdir())
    assert all(pq.read_table(results / "tables" / "smoke" / "runs.parquet")["simulated"].to_pylist())
    fits, plans = documents(simulated, "fits/smoke/*.json"), documents(simulated, "plans/smoke/*.json")
    assert len(fits) == 6
    assert len(plans) >= 3
    assert all(document["provenance"]["simulated"] for document in (*fits, *plans))  # type: ignore[index]
    assert all(summary["device"] == "simulated" for summary in documents(simulated, "runs/*/summary.json"))
    for figure in (results / "figures" / "smoke").glob("*.svg"):
        assert figure.read_text().count(">SIMULATED<") >= 1, figure
        assert "simulated" in figure.with_suffix(".csv").read_text().splitlines()[0]
    page = (results / "report.html").read_text()
    assert page.index("SIMULATED. Nothing on this page was measured") < page.index("<header>")
    assert "SIMULATED: every loss of this study was drawn from published laws" in page


def test_mlflow_and_status_say_so_too(simulated: Workflow) -> None:
    with sqlite3.connect(simulated.root / "results" / "mlflow.db") as database:
        tags = database.execute("select distinct value from tags where key = 'simulated'").fetchall()
    assert tags == [("True",)]
    command = [sys.executable, "-m", "scaling_lab", "status"]
    said = subprocess.run(command, cwd=simulated.root, text=True, capture_output=True, check=True).stdout
    assert said.splitlines()[-1].startswith("[simulated, nothing is trained] 17/17 runs")


def test_the_real_study_shares_no_run_with_it(simulated: Workflow) -> None:
    assert simulated.planned()["train"] == 17


def test_a_dry_run_plans_without_the_text_and_a_run_refuses(simulated: Workflow, tmp_path: Path) -> None:
    paper = ("--configfile", "config/kaplan2020.yaml")
    assert simulated.planned("-n", *paper)["train"] > 100
    result = simulated.snakemake(*paper)
    assert result.returncode != 0
    assert "corpus.paths: 'texts/webtext' matches no .txt" in result.stdout
    assert "rule " not in result.stdout

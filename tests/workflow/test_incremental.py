"""What runs again after an edit: exactly what depends on it."""

import re

import pytest
from tests.workflow.conftest import SMOKE, Workflow

pytestmark = pytest.mark.slow

STUDY = "config/studies/smoke.yaml"
RUNS = 17
# Everything after the tables, but for what only the question and the options change.
DECISION = {"compare_approaches": 1, "plan": 1, "measure_sensitivity": 1}
ANALYSIS = {"fit": 6, "judge_claims": 1, "backtest": 1, "measure_noise": 1, **DECISION} | {
    "figure": 6, "report": 1, "publish": 1, "all": 1,
}  # fmt: skip


def test_one_more_token_count_adds_its_runs_and_what_depends_on_them(workflow: Workflow) -> None:
    workflow.edit(STUDY, "tokens: [10_000, 20_000, 80_000]", "tokens: [10_000, 20_000, 40_000, 80_000]")
    added = {"specify_run": 1, "subset": 1, "train": 1, "list_runs": 1, "collect": 1}
    assert workflow.planned() == added | ANALYSIS
    workflow.edit(STUDY, "40_000, ", "")
    assert workflow.planned() == {}


def test_unique_tokens_ask_for_their_own_subset(workflow: Workflow) -> None:
    block = "  - {shapes: [[1, 8]], tokens: [40_000], unique_tokens: [10_048, 12_032]}\n"
    workflow.edit(STUDY, "  - shapes: [[2, 24]]\n", block + "  - shapes: [[2, 24]]\n")
    planned = workflow.planned("results/tables/smoke/runs.parquet", *SMOKE)
    assert planned["train"] == 2
    result = workflow.snakemake("-n", "results/tables/smoke/runs.parquet", *SMOKE)
    assert {"subsets/10048.json", "subsets/12032.json"} <= set(re.findall(r"subsets/\d+\.json", result.stdout))


def test_one_run_less_trains_nothing(workflow: Workflow) -> None:
    workflow.edit(STUDY, "[10_000, 20_000, 80_000]", "[10_000, 20_000]")
    assert workflow.planned() == {"list_runs": 1, "collect": 1} | ANALYSIS


def test_a_fit_option_refits_only(workflow: Workflow) -> None:
    workflow.edit(STUDY, "bootstrap: 40", "bootstrap: 41")
    assert workflow.planned() == {"specify_study": 1} | ANALYSIS


def test_a_budget_plans_again(workflow: Workflow) -> None:
    workflow.edit(STUDY, "fits:", "plan:\n  budget_multiples: [10]\nfits:")
    expected = {"specify_study": 1, **DECISION, "figure": 6, "report": 1, "publish": 1, "all": 1}
    assert workflow.planned() == expected


def test_a_figure_module_redraws_that_figure(workflow: Workflow) -> None:
    workflow.edit("src/scaling_lab/figures/learning_curves.py", '"""', '"""Edited. ')
    assert workflow.planned() == {"figure": 1, "report": 1, "publish": 1, "all": 1}


def test_a_science_module_refits(workflow: Workflow) -> None:
    workflow.edit("src/scaling_lab/science/laws/joint.py", '"""', '"""Edited. ')
    assert workflow.planned() == ANALYSIS


def test_the_template_renders_again(workflow: Workflow) -> None:
    workflow.edit("src/scaling_lab/report/report.css", "body", "/* edited */ body")
    assert workflow.planned() == {"report": 1, "all": 1}


def test_code_that_was_only_touched_runs_nothing(workflow: Workflow) -> None:
    """As by git, which gives every file of another branch and back a new time."""
    for path in (workflow.root / "src").rglob("*.py"):
        path.touch()
    assert workflow.planned() == {}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("workflow/rules/runs.smk", "rule train:", "# A comment.\nrule train:"),
        ("workflow/rules/runs.smk", '"scaling-lab train {', '"scaling-lab  train {'),
        ("src/scaling_lab/training/module.py", '"""', '"""Edited. '),
        ("src/scaling_lab/corpus/splits.py", '"""', '"""Edited. '),
        ("config/smoke.yaml", "corpus: sample", "# A comment.\ncorpus: sample"),
        ("config/smoke.yaml", "checkpoint_seconds: 1", "checkpoint_seconds: 2\ncheckpoint_tokens: 9999\ndevices: 1"),
    ],
    ids=["comment in a rule", "blank in a shell line", "training code", "corpus code", "comment in the keys", "how"],
)
def test_what_changes_no_meaning_runs_nothing(workflow: Workflow, name: str, old: str, new: str) -> None:
    workflow.edit(name, old, new)
    assert workflow.planned() == {}


def test_a_recipe_key_retrains_and_reverting_runs_nothing(workflow: Workflow) -> None:
    workflow.edit("config/smoke.yaml", "training:", "training:\n  dropout: 0.1")
    planned = workflow.planned()
    assert planned["train"] == planned["specify_run"] == RUNS
    assert "tokenize" not in planned
    workflow.edit("config/smoke.yaml", "\n  dropout: 0.1", "")
    assert workflow.planned() == {}


def test_another_split_makes_tokens_and_retrains(workflow: Workflow) -> None:
    workflow.edit("config/smoke.yaml", "split:", "split:\n  salt: other")
    planned = workflow.planned()
    assert planned["split_corpus"] == planned["tokenize"] == 1
    assert planned["train"] == RUNS
    assert "fetch_corpus" not in planned


def test_an_edited_text_of_the_user_retrains(workflow: Workflow) -> None:
    text = workflow.root / "my.txt"
    text.write_text("\n\n".join(f"Paragraph {i} of a text that stays small. " * 20 for i in range(400)))
    workflow.edit("config/smoke.yaml", "corpus: sample", "corpus: {name: mine, paths: [my.txt]}")
    result = workflow.snakemake("--until", "tokenize", *SMOKE)
    assert result.returncode == 0, result.stdout
    planned = workflow.planned()
    assert planned["train"] == RUNS
    assert "tokenize" not in planned
    text.write_text(text.read_text().replace("small", "short"))
    planned = workflow.planned()
    assert planned["fetch_corpus"] == planned["split_corpus"] == planned["tokenize"] == 1
    assert planned["train"] == RUNS


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("config/smoke.yaml", "vocab_size", "vocab_sise", "config: tokenizer.vocab_sise: unknown key"),
        (STUDY, "token_range", "token_rang", "smoke.yaml: grid.0.token_rang: unknown key"),
        (STUDY, "[[1, 8]", "[[1, 0]", "smoke.yaml: grid.0"),
        ("config/smoke.yaml", "corpus: sample", "corpus: {name: mine, paths: [no.txt]}", "'no.txt' matches no .txt"),
    ],
)
def test_a_typo_stops_before_anything_runs(workflow: Workflow, name: str, old: str, new: str, message: str) -> None:
    workflow.edit(name, old, new)
    result = workflow.snakemake(*SMOKE)
    assert result.returncode != 0
    assert message in result.stdout
    assert "Traceback" not in result.stdout
    assert "rule train" not in result.stdout

"""A study of several datasets that only measures: its page keeps them apart, plans nothing and says what is drawn."""

import json
from pathlib import Path

import pytest

from scaling_lab.config import Config, StudyConfig, parse_config
from scaling_lab.errors import CorpusError
from scaling_lab.figures.draw import draw_figure
from scaling_lab.fits.backtest import run_backtest
from scaling_lab.fits.noise import run_noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.plan import make_plan
from scaling_lab.grid import expand_study, study_datasets
from scaling_lab.report.provenance import bytes_per_token, read_datasets, texts
from scaling_lab.report.render import render_report
from scaling_lab.simulator.run import simulate
from scaling_lab.spec import canonical_json
from scaling_lab.tables import collect, read_rows

CONFIG = parse_config(Config, {"simulate": "kaplan2020", "transfer": ["wiki"]}, "config")
STUDY = parse_config(
    StudyConfig,
    {
        "question": "What do two vocabularies and two texts change?",
        "grid": [
            {"shapes": [[1, 8], [2, 16]], "tokens": [200_000], "vary": {"tokenizer.vocab_size": [512, 1024]}},
            {"shapes": [[1, 8]], "tokens": [200_000], "vary": {"corpus": ["sample"]}},  # which has no `unseen` set
        ],
        "fits": [],
        "figures": ["learning_curves"],
    },
    "texts.yaml",
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("datasets")
    runs = expand_study("texts", STUDY, CONFIG)
    for run, spec in runs.items():
        (folder / "runs" / run).mkdir(parents=True)
        (folder / "runs" / run / "spec.json").write_text(canonical_json(spec))
        simulate(spec, folder / "runs" / run)
    tables, plans = folder / "tables" / "texts", folder / "plans" / "texts"
    tables.mkdir(parents=True)
    document = STUDY.model_dump(mode="json", include={"question", "fit", "fits", "figures", "plan"})
    (tables / "study.json").write_text(json.dumps({"name": "texts", **document}))
    collect(list(runs), folder / "runs", tables / "runs.parquet", tables / "curves.parquet")
    table = tables / "runs.parquet"
    run_backtest(table, plans / "backtest.json", FitOptions(bootstrap=20))
    run_noise(table, plans / "noise.json", FitOptions(bootstrap=20))
    fits = folder / "fits" / "texts"
    make_plan(table, fits, plans / "backtest.json", plans / "plan.json", STUDY.plan, CONFIG.training)
    draw_figure("learning_curves", "texts", folder, folder / "figures" / "texts" / "learning_curves.svg")
    return folder


def test_a_set_that_one_text_lacks_is_missing_in_its_rows_alone(results: Path) -> None:
    rows = read_rows(results / "tables" / "texts" / "runs.parquet")
    assert [row["loss_unseen_nats"] is None for row in rows] == [False, False, False, False, True]
    assert len({row["tokens_id"] for row in rows}) == 3
    assert bytes_per_token(rows, "test_loss_nats") is None
    assert bytes_per_token(rows[:1], "test_loss_nats") == pytest.approx(96e9 / 2.29e10)


def test_the_page_keeps_datasets_apart_and_plans_nothing(results: Path) -> None:
    render_report(["texts"], [], [], results, results / "report.html")
    page = (results / "report.html").read_text("utf-8")
    assert "so it plans nothing" in page
    for section in ("backtest", "laws"):
        assert f'"#texts-{section}"' not in page
        assert f'id="texts-{section}"' not in page
    for dataset in study_datasets(STUDY, CONFIG):
        assert page.count(f'<td class="text">{dataset}</td>') >= 2
    assert page.count("SIMULATED") >= 2
    assert "Simulated studies read no text" in page


def test_figures_are_marked(results: Path) -> None:
    assert ">SIMULATED<" in (results / "figures" / "texts" / "learning_curves.svg").read_text()


def write_manifests(folder: Path) -> tuple[list[Path], list[Path]]:
    """Two token stores of one corpus and one of another."""
    contents = {
        "corpora/prose": {"sha256": "p", "sources": {"sotu": {"bytes": 3}}},
        "corpora/technical": {"sha256": "t", "sources": {"awsdocs": {"bytes": 4}}},
        "tokens/prose-512": {"blocks_sha256": "p", "sets": {"awsdocs": {"bytes": 1, "sources": {"awsdocs": {}}}}},
        "tokens/prose-1024": {"blocks_sha256": "p", "sets": {"wiki": {"bytes": 2, "sources": {"wiki": {}}}}},
        "tokens/technical-512": {"blocks_sha256": "t", "sets": {"test": {"bytes": 1, "tokens": 5}}},
    }
    for name, content in contents.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_text(json.dumps(content))
    corpora, tokens = (sorted(folder.glob(f"{kind}/*/manifest.json")) for kind in ("corpora", "tokens"))
    return corpora, tokens


def test_token_stores_find_their_corpus_and_texts_are_named_once(tmp_path: Path) -> None:
    corpora, tokens = write_manifests(tmp_path)
    datasets = read_datasets(corpora, tokens)
    found = {data.name: data.manifests[0].parent.name for data in datasets}
    assert found == {"prose-512": "prose", "prose-1024": "prose", "technical-512": "technical"}
    assert [(text["name"], text["use"]) for text in texts(datasets)] == [
        ("sotu", "trained on"),
        ("awsdocs", "trained on"),
        ("wiki", "evaluated on"),
    ]
    with pytest.raises(CorpusError, match=r"technical-512/manifest.json: is made of none of the corpora .*prose"):
        read_datasets(corpora[:1], tokens)

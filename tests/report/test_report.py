"""The page says what the files say, stands alone, and holds when a study has refused fits."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from scaling_lab.errors import CorpusError, TableError
from scaling_lab.fits.study_plan import ranges_of
from scaling_lab.report.render import render_report

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Collects what the tests ask about; fails on a tag that closes another."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.tables: dict[str, list[list[list[str]]]] = {}
        self._table = ""
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if attributes.get("id"):
            self.ids.append(str(attributes["id"]))
        self.references += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag == "table":
            self._table = attributes.get("class") or ""
            self.tables.setdefault(self._table, [])
        if tag == "tr":
            self.tables[self._table].append([])
        if attributes.get("title") and "table" in self.open and self.tables[self._table]:
            self.tables[self._table][-1].append([str(attributes["title"])])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words).replace("\N{NO-BREAK SPACE}", " "))


def manifests(results: Path) -> tuple[list[Path], list[Path]]:
    """Of the corpora, and of the token stores."""
    return sorted(results.glob("corpora/*/manifest.json")), sorted(results.glob("tokens/*/manifest.json"))


@pytest.fixture(scope="module")
def parsed(page: Path) -> Page:
    return Page(page.read_text("utf-8"))


def document(results: Path, name: str, study: str = "simulated") -> Any:
    return json.loads((results / "plans" / study / f"{name}.json").read_text("utf-8"))


def test_the_page_is_well_formed_and_its_contents_lead_somewhere(parsed: Page) -> None:
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    anchors = [link.removeprefix("#") for link in parsed.references if link.startswith("#")]
    assert len(anchors) > 20
    assert set(anchors) <= set(parsed.ids)


def test_nothing_is_loaded_from_elsewhere(page: Path, parsed: Page) -> None:
    assert all(link.startswith(("#", "data:image/svg+xml;base64,")) for link in parsed.references)
    assert not parsed.tags & {"script", "link", "iframe", "object", "base"}
    text = re.sub(r'"data:[^"]*"', "", page.read_text("utf-8"))
    assert not re.search(r"https?:|url\(|@import", text)


def test_the_plan_of_the_page_is_the_plan_of_the_file(results: Path, parsed: Page) -> None:
    budgets = document(results, "plan")["budgets"]
    rows = [row for row in parsed.tables["plan"] if row][: len(budgets)]
    assert len(rows) == len(budgets) == 3
    for row, budget in zip(rows, budgets, strict=True):
        shown = [json.loads(cell[0]) for cell in row]
        model, law = budget["model"], budget["law"]
        for value in (
            budget["flops"], law["params_opt"]["value"], model["params"], model["tokens"], model["steps"],
            model["batch_tokens"], model["learning_rate"], model["tokens_per_param"], model["loss"]["value"],
        ):  # fmt: skip
            assert value in shown
        for quantity in (law["params_opt"], law["tokens_opt"], model["loss"]):
            for interval in quantity["intervals"]:
                assert [interval["low"], interval["high"]] in shown


def test_the_answer_comes_first_and_names_the_model(results: Path, parsed: Page) -> None:
    model = document(results, "plan")["budgets"][0]["model"]
    head = parsed.text.split("Scaling laws measured here")[0]
    assert f"{model['n_layer']} layers of width {model['d_model']}" in head
    assert f"{model['steps']:,} steps" in head
    assert f"Expect a test loss of {model['loss']['value']:.2f} nats per token" in head
    assert "How far to trust it" in head


def test_the_backtest_of_the_page_is_that_of_the_file(results: Path, parsed: Page) -> None:
    laws = document(results, "backtest")["laws"]
    rows = [row for row in parsed.tables["backtest"] if row][: len(laws)]
    for row, outcome in zip(rows, laws.values(), strict=True):
        shown = [json.loads(cell[0]) for cell in row]
        assert shown == [
            outcome["mean_absolute_relative_error"],
            outcome["largest_absolute_relative_error"],
            outcome["coverage"],
        ]


def test_the_table_of_approaches_is_that_of_the_file(results: Path, parsed: Page) -> None:
    found = document(results, "approaches")["approaches"]
    rows = [row for row in parsed.tables["approaches"] if row][: len(found)]
    assert [answer["status"] for answer in found.values()] == ["ok"] * len(found)
    for row, answer in zip(rows, found.values(), strict=True):
        shown = [json.loads(cell[0]) for cell in row]
        for estimate in (
            *answer["exponents"].values(),
            *(o[n] for o in answer["optima"] for n in ("params", "tokens")),
        ):
            assert estimate["value"] in shown
    assert "the plan rests on this" in parsed.text


def test_approaches_that_contradict_each_other_are_named(results: Path, parsed: Page) -> None:
    for study in ("simulated", "refused"):
        section = parsed.text.split(f"Study: {study}", 2)[-1].split("What the answer hangs on")[0]
        contradictions = document(results, "approaches", study)["disagreements"]
        assert section.count(", against ") == len(contradictions)


def test_the_decision_under_other_choices_is_that_of_the_file(results: Path, parsed: Page) -> None:
    found = document(results, "sensitivity")
    assert found["status"] == "ok"
    expected = ranges_of(found)
    assert len(expected) == 2 + len(found["spread"])
    base, *ranges = [row for row in parsed.tables["sensitivity"] if row][: 1 + len(expected)]
    assert json.loads(base[0][0]) == found["base"]["a"]
    for row, spread in zip(ranges, expected.values(), strict=True):
        shown = [json.loads(cell[0]) for cell in row]
        assert shown[:2] == [spread["a"]["low"], spread["a"]["high"]]
        assert [spread["params"]["low"], spread["params"]["high"]] in shown
    assert all(run["run"] in parsed.text for run in found["influential"])
    assert all(row["choice"] in parsed.text for row in found["rows"] if row["group"] == "outliers")


def test_isoflop_says_its_bias_and_its_backtest(results: Path, parsed: Page) -> None:
    fit = json.loads((results / "fits" / "simulated" / "isoflop.json").read_text("utf-8"))
    shift = fit["grid_bias"]["hoffmann"]["exponent_shift"]
    assert f"and a {shift:+.3f} off" in parsed.text
    backtest = fit["backtest"]
    refused = backtest["reason"] and backtest["reason"]["message"]
    assert (f"Backtest: refused, {refused}" if refused else "Backtest: the other budgets predict") in parsed.text


def test_every_run_is_listed(results: Path, parsed: Page) -> None:
    for study in ("simulated", "refused"):
        runs = pq.read_table(results / "tables" / study / "runs.parquet", columns=["run"])["run"].to_pylist()
        assert len(runs) >= 3
        assert all(run in parsed.text for run in runs)


def test_the_gap_to_other_texts_is_the_planted_one(parsed: Page) -> None:
    assert "+0.14 +0.14 to +0.14 +0.90 +0.90 to +0.90 +0.45 +0.45 to +0.45" in parsed.text


def test_texts_come_with_attribution_and_licence(parsed: Page) -> None:
    assert "Nobody & <friends>, none." in parsed.text
    assert "CC BY-SA 4.0" in parsed.text
    assert "Wiki licence" in parsed.text


def test_provenance_names_every_file_by_hash(results: Path, parsed: Page) -> None:
    for name in ("tables/simulated/runs.parquet", "fits/simulated/hoffmann.json", "plans/refused/plan.json"):
        assert re.search(rf"{name} [0-9a-f]{{64}}", parsed.text)


def test_a_study_without_laws_gives_reasons_and_no_number(results: Path, parsed: Page) -> None:
    assert {budget["status"] for budget in document(results, "plan", "refused")["budgets"]} == {"refused"}
    section = parsed.text.split("Study: refused", 2)[-1]
    answer = section.split("Scaling laws measured here")[0]
    assert "do not support a recommendation" in answer
    assert "Expect a test loss" not in answer
    for path in sorted((results / "fits" / "refused").glob("*.json")):
        reason = json.loads(path.read_text("utf-8"))["reason"]
        if reason is not None:
            assert reason["code"].replace("_", " ") in section
            assert reason["message"] in section
    assert "Not measured: no cell has 3 or more seeds" in section
    for answer in document(results, "approaches", "refused")["approaches"].values():
        assert answer["reason"]["message"] in section
    assert document(results, "sensitivity", "refused")["reason"]["message"] in section


def test_text_from_outside_is_escaped(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "<b>escaped</b>" not in text
    assert "&lt;b&gt;escaped&lt;/b&gt;" in text


def test_simulated_studies_say_so(parsed: Page) -> None:
    assert parsed.text.count("SIMULATED") == 2


def test_a_page_rendered_twice_is_the_same(page: Path, results: Path, tmp_path: Path) -> None:
    render_report(["simulated", "refused"], *manifests(results), results, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_a_missing_study_or_manifest_is_named(results: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="absent"):
        render_report(["absent"], *manifests(results), results, tmp_path / "page.html")
    with pytest.raises(CorpusError, match="nowhere"):
        render_report(
            ["simulated"], [tmp_path / "nowhere.json"], manifests(results)[1], results, tmp_path / "page.html"
        )
    assert not (tmp_path / "page.html").exists()

"""Every figure is written whole, the same at every draw, and says what was refused."""

import csv
import json
import shutil
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from scaling_lab.errors import ConfigError, TableError
from scaling_lab.figures.draw import FIGURES, draw_figure
from scaling_lab.figures.inputs import StudyData

# Those that the simulated studies draw; the others have studies, and tests, of their own.
DRAWN = (
    "power_laws", "learning_curves", "size_and_data", "isoflop_profiles", "optimal_allocation", "backtest", "regret",
)  # fmt: skip
WITH_LAWS = [name for name in DRAWN if name != "learning_curves"]
STARTS = {".svg": b"<?xml", ".png": b"\x89PNG\r\n\x1a\n", ".csv": b"panel,series"}


def rows_of(results: Path, name: str, study: str = "simulated") -> list[dict[str, str]]:
    with (results / "figures" / study / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("study", ["simulated", "refused"])
@pytest.mark.parametrize("name", DRAWN)
def test_a_second_draw_gives_the_same_bytes(results: Path, tmp_path: Path, name: str, study: str) -> None:
    draw_figure(name, study, results, tmp_path / f"{name}.svg")
    for suffix in (".svg", ".png", ".csv"):
        first = (results / "figures" / study / f"{name}{suffix}").read_bytes()
        assert first == (tmp_path / f"{name}{suffix}").read_bytes()
        assert first.startswith(STARTS[suffix])
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".png", ".svg"]


@pytest.mark.parametrize("name", WITH_LAWS)
def test_a_refused_law_is_said_to_be_refused_in_the_panel(results: Path, name: str) -> None:
    assert "refused" in (results / "figures" / "refused" / f"{name}.svg").read_text("utf-8")
    assert "refused" not in (results / "figures" / "simulated" / f"{name}.svg").read_text("utf-8")


@pytest.mark.parametrize("name", ["power_laws", "size_and_data", "isoflop_profiles", "optimal_allocation"])
def test_axes_name_their_convention(results: Path, name: str) -> None:
    svg = (results / "figures" / "simulated" / f"{name}.svg").read_text("utf-8")
    # A label may be broken into lines, each of them a text element.
    assert "non-embedding" in svg
    assert name == "size_and_data" or "`matmul`" in svg


def test_regret_is_least_at_the_best_size_and_its_band_above_the_median(results: Path) -> None:
    rows = rows_of(results, "regret")
    best = StudyData("simulated", results).plan["budgets"][0]
    own = [row for row in rows if float(row["flops_matmul"]) == best["flops"]]
    least = min(own, key=lambda row: float(row["compute_wasted_percent"]))
    assert float(least["params_non_embedding"]) == pytest.approx(best["law"]["params_opt"]["value"], rel=0.1)
    assert all(float(row["compute_wasted_percent_high"]) >= float(row["compute_wasted_percent"]) for row in own)
    assert rows_of(results, "regret", "refused") == []


def test_power_laws_draws_the_measured_losses_and_the_fitted_law(results: Path) -> None:
    data = StudyData("simulated", results)
    rows = [row for row in rows_of(results, "power_laws") if row["panel"] == "params"]
    drawn = {
        (float(row["params_non_embedding"]), float(row["test_loss_nats"])) for row in rows if "runs" in row["series"]
    }
    measured = {(row["params_non_embedding"], row["test_loss_nats"]) for row in data.runs}
    assert len(drawn) >= 7
    assert drawn <= measured
    fit = data.fit("params")
    assert fit is not None
    law = [row for row in rows if row["series"].startswith("fitted law")]
    size = np.array([float(row["params_non_embedding"]) for row in law])
    expected = (fit.value("Xc") / size) ** fit.value("alpha")
    np.testing.assert_allclose([float(row["test_loss_nats"]) for row in law], expected, rtol=1e-9)
    assert all(float(row["test_loss_nats_low"]) < float(row["test_loss_nats_high"]) for row in law)


def test_learning_curves_draw_the_longest_run_of_each_size(results: Path) -> None:
    data = StudyData("simulated", results)
    drawn = {row["series"] for row in rows_of(results, "learning_curves")}
    assert len(drawn) == len({row["d_model"] for row in data.runs})
    for run in drawn:
        width, tokens = data.runs_by_id[run]["d_model"], data.runs_by_id[run]["tokens"]
        assert tokens == max(row["tokens"] for row in data.runs if row["d_model"] == width)


def test_optimal_allocation_reaches_the_planned_budgets(results: Path) -> None:
    data = StudyData("simulated", results)
    budgets = data.plan["budgets"]
    rows = rows_of(results, "optimal_allocation")
    law = [row for row in rows if row["panel"] == "tokens" and row["series"].startswith("Hoffmann")]
    grid = np.array([float(row["flops_matmul"]) for row in law])
    assert grid.max() > budgets[-1]["flops"]
    # The line passes through the plan's own optimum: both minimise the same law.
    log_tokens = np.log([float(row["tokens"]) for row in law])
    for budget in budgets:
        at = np.exp(np.interp(np.log(budget["flops"]), np.log(grid), log_tokens))
        assert at == pytest.approx(budget["law"]["tokens_opt"]["value"], rel=0.02)
    svg = (results / "figures" / "simulated" / "optimal_allocation.svg").read_text("utf-8")
    assert "extrapolation" in svg


def test_isoflop_vertices_carry_their_interval(results: Path) -> None:
    rows = [row for row in rows_of(results, "isoflop_profiles") if row["series"].startswith("vertex")]
    assert len(rows) == 3
    for row in rows:
        assert float(row["params_non_embedding_low"]) < float(row["params_non_embedding"])
        assert float(row["params_non_embedding"]) < float(row["params_non_embedding_high"])


def test_backtest_draws_every_prediction(results: Path) -> None:
    data = StudyData("simulated", results)
    drawn = {(row["series"].split(",")[0], row["run"]) for row in rows_of(results, "backtest")}
    assert drawn == {(row["law"], row["run"]) for row in data.backtest["rows"]}


def test_drawing_leaves_the_settings_of_the_user_alone(results: Path, tmp_path: Path) -> None:
    with mpl.rc_context({"font.size": 31, "svg.hashsalt": "mine"}):
        draw_figure("backtest", "simulated", results, tmp_path / "backtest.svg")
        assert mpl.rcParams["font.size"] == 31
        assert mpl.rcParams["svg.hashsalt"] == "mine"
    own = (results / "figures" / "simulated" / "backtest.svg").read_bytes()
    assert (tmp_path / "backtest.svg").read_bytes() == own


def test_an_unknown_figure_is_named_with_what_is_allowed(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'pie' is not one of power_laws"):
        draw_figure("pie", "simulated", results, tmp_path / "pie.svg")


def test_a_missing_study_is_named(results: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="absent"):
        draw_figure("power_laws", "absent", results, tmp_path / "power_laws.svg")
    assert list(tmp_path.iterdir()) == []


def test_a_study_without_the_laws_of_a_figure_still_gets_it(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "results", ignore=shutil.ignore_patterns("fits", "figures", "runs"))
    for name in FIGURES:
        draw_figure(name, "simulated", tmp_path / "results", tmp_path / f"{name}.svg")
    assert "fits none of" in (tmp_path / "power_laws.svg").read_text("utf-8")


def test_a_fit_of_other_runs_is_not_drawn(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "results", ignore=shutil.ignore_patterns("figures", "runs"))
    path = tmp_path / "results" / "fits" / "simulated" / "tokens.json"
    left_over = json.loads(path.read_text("utf-8"))
    left_over["provenance"]["tables"]["runs.parquet"] = "0" * 64
    path.write_text(json.dumps(left_over), encoding="utf-8")
    draw_figure("power_laws", "simulated", tmp_path / "results", tmp_path / "power_laws.svg")
    text = (tmp_path / "power_laws.csv").read_text("utf-8")
    assert "\nparams," in text
    assert "\ntokens," not in text

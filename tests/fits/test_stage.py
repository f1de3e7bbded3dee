"""From runs.parquet to fits, plan, backtest and noise, on a planted law laid out as the default study."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from scaling_lab.config import BatchConfig, PlanConfig, TrainingConfig, parse_config
from scaling_lab.errors import ConfigError
from scaling_lab.fits.backtest import run_backtest
from scaling_lab.fits.noise import run_noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.plan import choose_basis, make_plan
from scaling_lab.fits.stage import run_fit
from scaling_lab.science.accounting import Shape
from scaling_lab.science.laws import kaplan
from scaling_lab.science.optimum import numerical_optimum
from scaling_lab.science.shapes import ShapeFamily

Rows = list[dict[str, Any]]
Write = Callable[[Rows], Path]
Row = Callable[[Shape, float, int, float], dict[str, Any]]
OPTIONS = FitOptions(bootstrap=100)
# The other fits are of single experiments: test_experiments.py.
LAWS_OF_THE_STUDY = ("params", "tokens", "compute", "kaplan", "hoffmann", "isoflop")
TRAINING = TrainingConfig()


def untested(plan: Path) -> Path:
    """A backtest, beside the plan, in which no law could be tested."""
    path = plan.with_name("untested.json")
    path.write_text(json.dumps({"laws": {}}))
    return path


def at(*budgets: float) -> PlanConfig:
    return PlanConfig(budgets=budgets, budget_multiples=())


KEYS = {
    "fit", "law", "equation", "status", "reason", "variables", "objective", "parameters", "derived", "diagnostics",
    "filters", "provenance",
}  # fmt: skip


def document(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def fit_all(runs: Path, names: tuple[str, ...] = LAWS_OF_THE_STUDY, options: FitOptions = OPTIONS) -> Path:
    output = runs.parent / "fits"
    for name in names:
        run_fit(name, runs, runs.with_name("curves.parquet"), output, options)
    return output


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, study_table: Callable[[Path], Path]) -> Path:
    runs = study_table(tmp_path_factory.mktemp("study"))
    fit_all(runs)
    backtest = runs.parent / "backtest.json"
    run_backtest(runs, backtest, OPTIONS)
    make_plan(runs, runs.parent / "fits", backtest, runs.parent / "plan.json", at(1e13, 1e15), TRAINING)
    return runs.parent


@pytest.mark.parametrize("name", LAWS_OF_THE_STUDY)
def test_records_have_every_field(study: Path, name: str) -> None:
    fit = document(study / "fits" / f"{name}.json")
    assert set(fit) >= KEYS
    assert fit["fit"] == name
    assert fit["status"] == "ok", fit["reason"]
    assert fit["reason"] is None
    draws = pq.read_table(study / "fits" / f"{name}.draws.parquet")
    points = pq.read_table(study / "fits" / f"{name}.points.parquet")
    assert {"run", "loss", "predicted", "residual", *fit["variables"]} <= set(points.column_names)
    assert points.num_rows == fit["filters"][-1]["kept"]
    for key, value in (fit["parameters"] | fit["derived"]).items():
        assert value["interval"]["low"] <= value["value"] <= value["interval"]["high"], key
        assert draws.num_rows == len(draws[key].drop_null())
    bootstrap = fit["diagnostics"]["bootstrap"]
    assert draws.num_rows + bootstrap["failed"] == bootstrap["resamples"] == 100
    assert len(fit["provenance"]["tables"]["runs.parquet"]) == 64
    assert fit["provenance"]["options"]["bootstrap"] == 100


def test_hoffmann_recovers_the_planted_law(study: Path, planted: dict[str, float]) -> None:
    fit = document(study / "fits" / "hoffmann.json")
    truth = planted | {"a": planted["beta"] / (planted["alpha"] + planted["beta"])}
    for name, value in truth.items():
        estimate = (fit["parameters"] | fit["derived"])[name]
        low, high = estimate["interval"]["low"], estimate["interval"]["high"]
        margin = 0.5 * (high - low)  # a 90 % interval of one data set may just miss
        assert low - margin <= value <= high + margin
        assert estimate["se"] > 0
    assert fit["diagnostics"]["offset_identified"] is True
    assert fit["diagnostics"]["variable_projection"]["agrees"] is True
    assert fit["diagnostics"]["starts"] == 4500
    assert fit["diagnostics"]["share_at_best"] > 0.1
    assert fit["diagnostics"]["r_squared_log"] > 0.999
    assert [row["status"] for row in fit["sensitivity"]] == ["ok"] * 4
    conventions = fit["conventions"]
    assert set(conventions) == {"params_non_embedding", "params_total"}
    exponents = [conventions[name]["derived"]["a"]["value"] for name in conventions]
    assert exponents[0] == fit["derived"]["a"]["value"]
    assert abs(exponents[1] - exponents[0]) > 0.02


def test_one_variable_fits_report_all_forms(study: Path, planted: dict[str, float]) -> None:
    for name in ("params", "tokens"):
        fit = document(study / "fits" / f"{name}.json")
        assert set(fit["alternatives"]) == {"power", "power_offset", "logarithm"}
        headline = {n: {k: e[k] for k in ("value", "se", "interval")} for n, e in fit["parameters"].items()}
        assert fit["alternatives"]["power"]["parameters"] == headline
        offset = fit["alternatives"]["power_offset"]
        assert offset["aicc"] < fit["alternatives"]["power"]["aicc"]  # the planted series has an offset
        assert offset["status"] == "ok" or offset["reason"]["code"] in {"not_identified", "offset_contains_zero"}


def test_isoflop_profiles_lead_to_the_planted_optimum(study: Path, planted: dict[str, float]) -> None:
    fit = document(study / "fits" / "isoflop.json")
    assert [p["status"] for p in fit["profiles"]].count("ok") == fit["diagnostics"]["accepted"] >= 3
    family = family_of(study)
    for profile in fit["profiles"]:
        if profile["status"] == "ok":
            truth = numerical_optimum(planted, profile["flops"], family.flops_per_token, (100, 1e8))
            assert profile["params_opt"] == pytest.approx(float(truth.params), rel=0.5)
            assert profile["loss_opt"] == pytest.approx(float(truth.loss), rel=0.01)
        else:
            assert profile["reason"]["code"] in {"edge_optimum", "inverted_parabola"}


def test_isoflop_laws_stand_with_and_without_a_departure(study: Path, rows: Rows, write_runs: Write) -> None:
    fit = document(study / "fits" / "isoflop.json")
    assert fit["diagnostics"]["departure"]["stated"] == 0.01
    for found in fit["parameters"].values():
        exact, departed = (found[kind]["high"] / found[kind]["low"] for kind in ("interval", "interval_departed"))
        assert departed > exact
    assert {"departure", "field"} < set(pq.read_table(study / "fits" / "isoflop.draws.parquet").column_names)
    exact = document(
        fit_all(write_runs(rows), ("isoflop",), OPTIONS.model_copy(update={"departure": 0.0})) / "isoflop.json"
    )
    assert exact["diagnostics"]["departure"] is None
    for name, found in exact["parameters"].items():
        assert found["interval"] == found["interval_departed"] == fit["parameters"][name]["interval"]


def test_isoflop_minima_carry_an_interval_symmetric_in_log_size(study: Path) -> None:
    fit = document(study / "fits" / "isoflop.json")
    accepted = [profile for profile in fit["profiles"] if profile["status"] == "ok"]
    for profile in accepted:
        interval = profile["params_opt_interval"]
        assert interval["low"] * interval["high"] == pytest.approx(profile["params_opt"] ** 2)
        reach = 1.6449 * profile["params_opt_relative_se"]
        assert interval["high"] / profile["params_opt"] == pytest.approx(np.exp(reach), rel=1e-4)
        tokens = profile["tokens_opt_interval"]
        assert tokens["low"] < profile["tokens_opt"] < tokens["high"]
    assert all(profile["params_opt_interval"] is None for profile in fit["profiles"] if profile not in accepted)


def test_isoflop_says_how_biased_its_grid_is_and_how_it_predicts(study: Path) -> None:
    fit = document(study / "fits" / "isoflop.json")
    assert set(fit["grid_bias"]) == {"hoffmann", "kaplan"}
    for bias in fit["grid_bias"].values():
        assert len(bias["ratio"]) == len(bias["flops"]) >= 3
        assert bias["exponent_shift"] == pytest.approx(bias["exponent_found"] - bias["exponent_true"])
    assert fit["diagnostics"]["accepted"] == 3  # of which two are left to predict the largest from
    assert fit["backtest"]["status"] == "refused"
    assert "2 of 3 budgets have a usable vertex" in fit["backtest"]["reason"]["message"]


def test_isoflop_predicts_its_largest_budget(rows: Rows, write_runs: Write, planted_row: Row) -> None:
    """With a fourth minimum, of models around the optimum of a smaller budget, three are left to predict from."""
    shapes = [Shape(1, width, 1, 4 * width, 128, 512) for width in (6, 8, 12, 16, 24, 36)]
    cheaper = [planted_row(shape, 3e10 / shape.flops_per_token("matmul"), 0, 0.0) for shape in shapes]
    fit = document(fit_all(write_runs([*rows, *cheaper]), ("isoflop",)) / "isoflop.json")
    backtest = fit["backtest"]
    assert backtest["status"] == "ok", backtest["reason"]
    largest = max((p for p in fit["profiles"] if p["status"] == "ok"), key=lambda p: p["flops"])
    assert (backtest["flops"], backtest["measured"]) == (largest["flops"], largest["params_opt"])
    assert backtest["relative_error"] == pytest.approx(backtest["predicted"] / backtest["measured"] - 1)
    interval = backtest["interval"]
    assert backtest["inside"] is (interval["low"] <= backtest["measured"] <= interval["high"])


def test_the_envelope_lists_its_members(study: Path) -> None:
    fit = document(study / "fits" / "compute.json")
    envelope = fit["envelope"]
    assert np.all(np.diff(envelope["flops"]) > 0)
    assert np.all(np.diff(envelope["loss"]) < 0)
    assert len(envelope["runs"]) == fit["diagnostics"]["n_points"]
    assert 0.2 < envelope["params_law"]["exponent"]["value"] < 0.8
    dropped = fit["filters"][1]
    assert dropped["name"] == "seeds_averaged"
    assert len(dropped["dropped"]) == 4  # three seeds of two cells leave one each


def family_of(study: Path) -> ShapeFamily:
    columns = ("n_layer", "d_model", "n_head", "d_ff", "context", "vocab_size")
    rows = pq.read_table(study / "runs.parquet", columns=list(columns)).to_pylist()
    return ShapeFamily([Shape(**row) for row in rows], "params_non_embedding", "matmul")


def test_the_plan_contains_the_planted_optimum(study: Path, planted: dict[str, float]) -> None:
    plan = document(study / "plan.json")
    assert plan["basis"] == "hoffmann"
    assert plan["reasons"] == {"hoffmann": None, "kaplan": None, "isoflop": None}
    family = family_of(study)
    for budget in plan["budgets"]:
        truth = numerical_optimum(planted, budget["flops"], family.flops_per_token, (100, 1e10))
        found = budget["law"]
        for name, value in (("params_opt", truth.params), ("tokens_opt", truth.tokens), ("loss", truth.loss)):
            interval = found[name]["intervals"][1]
            width = interval["high"] - interval["low"]
            assert interval["low"] - width / 4 <= float(value) <= interval["high"] + width / 4
        assert budget["isoflop"]["params_opt"]["value"] == pytest.approx(float(truth.params), rel=1.5)
        model = budget["model"]
        assert model["d_model"] % 8 == 0
        assert model["d_model"] % model["n_head"] == 0
        assert model["tokens"] == model["steps"] * model["batch_tokens"]
        assert model["flops"] == pytest.approx(budget["flops"], rel=1e-3)
        assert model["params"] == pytest.approx(found["params_opt"]["value"], rel=0.4)
        assert min(found["regret"]["loss_nats"]) == pytest.approx(0, abs=5e-3)
    near, far = plan["budgets"]
    assert near["extrapolation"]["flops_decades"] == 0
    assert far["extrapolation"]["flops_decades"] > 1.5
    assert any("decades beyond the largest run" in note for note in far["warnings"])
    frontier = plan["frontier"]
    assert max(frontier["flops"]) > far["flops"]
    for budget in plan["budgets"]:
        at = np.exp(
            np.interp(np.log(budget["flops"]), np.log(frontier["flops"]), np.log(frontier["params_opt"]["value"]))
        )
        assert at == pytest.approx(budget["law"]["params_opt"]["value"], rel=0.02)
    assert np.all(np.array(frontier["tokens_opt"]["low"]) < np.array(frontier["tokens_opt"]["high"]))


def test_a_rate_rule_that_ends_below_the_planned_size_is_refused_not_a_crash(study: Path, tmp_path: Path) -> None:
    kaplan_rate = parse_config(TrainingConfig, {"learning_rate": {"rule": "kaplan"}}, "test")
    plan = tmp_path / "plan.json"
    make_plan(study / "runs.parquet", study / "fits", study / "backtest.json", plan, at(1e13, 1e25), kaplan_rate)
    near, far = document(plan)["budgets"]
    assert near["model"]["learning_rate"] > 0
    assert (far["status"], far["model"]["learning_rate"]) == ("ok", None)
    assert "up to 1e10 non-embedding parameters" in far["warnings"][0]


def test_the_backtest_scores_each_law(study: Path) -> None:
    backtest = document(study / "backtest.json")
    assert set(backtest["laws"]) == {"hoffmann", "kaplan", "compute"}
    assert backtest["laws"]["hoffmann"]["mean_absolute_relative_error"] < 0.01
    assert {row["run"] for row in backtest["rows"] if row["law"] == "hoffmann"} == set(backtest["held_out"])
    for row in backtest["rows"]:
        assert row["low"] < row["high"]
        assert row["relative_error_percent"] == pytest.approx(100 * (row["predicted"] / row["measured"] - 1))
        assert row["inside"] is (row["low"] <= row["measured"] <= row["high"])


def test_two_runs_of_the_stage_write_the_same_bytes(rows: Rows, write_runs: Write) -> None:
    runs = write_runs(rows)
    names = ("kaplan", "isoflop", "compute")
    written = []
    for _ in range(2):
        output = fit_all(runs, names)
        written.append({path.name: path.read_bytes() for path in sorted(output.iterdir())})
    assert written[0] == written[1]
    assert len(written[0]) == 9
    other = fit_all(runs, names, FitOptions(bootstrap=100, seed=1))
    assert (other / "kaplan.draws.parquet").read_bytes() != written[0]["kaplan.draws.parquet"]


def test_refused_fits_are_written_with_their_reason(rows: Rows, write_runs: Write) -> None:
    one_size = [row for row in rows if row["d_model"] == 72]
    output = fit_all(write_runs(one_size))
    reasons = {name: document(output / f"{name}.json") for name in LAWS_OF_THE_STUDY}
    codes = {name: fit["reason"] and fit["reason"]["code"] for name, fit in reasons.items()}
    assert codes["params"] == codes["kaplan"] == codes["hoffmann"] == "single_value"
    assert codes["isoflop"] == "too_few_points"
    assert codes["tokens"] is None
    refused = reasons["hoffmann"]
    assert refused["status"] == "refused"
    assert refused["parameters"] == refused["derived"] == {}
    draws = pq.read_table(output / "hoffmann.draws.parquet")
    assert draws.num_rows == 0
    assert {"E", "A", "B", "alpha", "beta", "a"} <= set(draws.column_names)
    plan = output.parent / "plan.json"
    make_plan(output.parent / "runs.parquet", output, untested(plan), plan, at(1e14), TRAINING)
    assert document(plan)["basis"] is None
    assert document(plan)["reasons"]["hoffmann"]["code"] == "single_value"
    assert document(plan)["budgets"][0]["status"] == "refused"
    assert "model" not in document(plan)["budgets"][0]


def test_without_hoffmann_the_isoflop_laws_decide(rows: Rows, write_runs: Write) -> None:
    runs = write_runs(rows)
    output = fit_all(runs, ("isoflop",))
    batch = BatchConfig(coefficient=4096, exponent=0)
    plan = runs.parent / "plan.json"
    make_plan(runs, output, untested(plan), plan, at(1e14), TRAINING.model_copy(update={"batch": batch}))
    found = document(plan)
    assert found["basis"] == "isoflop"
    assert found["reasons"]["hoffmann"]["code"] == "not_fitted"
    budget = found["budgets"][0]
    assert budget["law"] is None
    assert budget["model"]["loss"] is None
    assert budget["model"]["batch_tokens"] == 4096
    assert any("no loss is predicted" in note for note in budget["warnings"])


def test_a_plan_needs_positive_budgets() -> None:
    with pytest.raises(ConfigError, match=r"plan: .*positive, finite"):
        parse_config(PlanConfig, {"budgets": [-1.0]}, "plan")


def test_a_study_that_fits_no_surface_plans_nothing_and_says_why(rows: Rows, write_runs: Write, tmp_path: Path) -> None:
    runs = write_runs(rows)
    run_backtest(runs, tmp_path / "backtest.json", OPTIONS)
    make_plan(runs, tmp_path, tmp_path / "backtest.json", tmp_path / "plan.json", at(1e14), TRAINING)
    plan = document(tmp_path / "plan.json")
    assert [budget["status"] for budget in plan["budgets"]] == ["refused"]
    assert {reason["code"] for reason in plan["reasons"].values()} == {"not_fitted"}


def test_a_study_at_one_cost_has_nothing_to_backtest_from(rows: Rows, write_runs: Write, tmp_path: Path) -> None:
    longest = max(row["tokens"] for row in rows)
    same = [dict(row, flops_matmul=1e13) for row in rows if row["tokens"] == longest]
    run_backtest(write_runs(same), tmp_path / "backtest.json", OPTIONS)
    laws = document(tmp_path / "backtest.json")["laws"]
    assert {law["reason"]["code"] for law in laws.values()} == {"too_few_points"}
    assert "no run costs at most half" in laws["kaplan"]["reason"]["message"]


def test_runs_of_two_datasets_are_never_fitted_together(rows: Rows, write_runs: Write) -> None:
    few = [dict(row, run=f"other-{row['run']}", tokens_id="prose-bpe4096-0", test_loss_nats=9.0) for row in rows[:5]]
    runs = write_runs([dict(row, tokens_id="prose-bpe1024-0") for row in rows] + few)
    run_fit("kaplan", runs, runs, runs.parent / "fits", OPTIONS)
    fit = document(runs.parent / "fits" / "kaplan.json")
    alone = write_runs(rows)
    run_fit("kaplan", alone, alone, runs.parent / "alone", OPTIONS)
    assert fit["parameters"] == document(runs.parent / "alone" / "kaplan.json")["parameters"]
    (applied,) = (entry for entry in fit["filters"] if entry["name"] == "one_dataset")
    assert applied["dropped"][0]["reason"] == "dataset is prose-bpe4096-0, not prose-bpe1024-0"
    assert len(applied["dropped"]) == 5


def test_runs_that_stop_early_are_another_experiment(rows: Rows, write_runs: Write) -> None:
    several = [row | {"stops_early": index % 3 == 0} for index, row in enumerate(rows)]
    fits = fit_all(write_runs(several), ("kaplan",))
    (applied,) = [f for f in document(fits / "kaplan.json")["filters"] if f["name"] == "one_ending"]
    assert (applied["kept"], len(applied["dropped"])) == (len(rows) - len(rows[::3]), len(rows[::3]))


def test_data_are_unique_tokens_where_all_runs_stop_early(rows: Rows, write_runs: Write) -> None:
    stopped = [row | {"stops_early": True, "tokens": 10**9} for row in rows]
    record = document(fit_all(write_runs(stopped), ("kaplan",)) / "kaplan.json")
    assert (record["status"], record["variables"]["D"]["column"]) == ("ok", "unique_tokens")
    assert not [line for line in record["diagnostics"]["warnings"] if "more than once" in line]


def test_seed_noise_is_pooled(rows: Rows, write_runs: Write, tmp_path: Path) -> None:
    run_noise(write_runs(rows), tmp_path / "noise.json", OPTIONS)
    noise = document(tmp_path / "noise.json")
    assert [cell["seeds"] for cell in noise["cells"]] == [3, 3]
    pooled = noise["pooled"]
    squares = sum(2 * cell["sd_nats"] ** 2 for cell in noise["cells"])
    assert pooled["degrees_of_freedom"] == 4
    assert pooled["sd_nats"]["value"] == pytest.approx(np.sqrt(squares / 4))
    interval = pooled["relative_sd"]["interval"]
    assert interval["low"] <= 0.003 <= interval["high"]  # the planted noise
    run_noise(write_runs([row for row in rows if row["seed"] == 0]), tmp_path / "noise.json", OPTIONS)
    assert document(tmp_path / "noise.json")["reason"]["code"] == "too_few_points"


def test_offset_that_is_not_identified_is_said(rows: Rows, write_runs: Write) -> None:
    """With ten times the noise the irreducible loss may be zero: refused, or kept with a warning that says so."""
    rng = np.random.default_rng(3)
    noisy = [row | {"test_loss_nats": row["test_loss_nats"] * np.exp(0.05 * rng.standard_normal())} for row in rows]
    fit = document(fit_all(write_runs(noisy), ("hoffmann",)) / "hoffmann.json")
    if fit["status"] == "refused":
        assert fit["reason"]["code"] in {"not_identified", "not_converged", "offset_contains_zero"}
    else:
        assert fit["diagnostics"]["offset_identified"] is False
        assert any("do not identify it" in note for note in fit["diagnostics"]["warnings"])


def test_the_law_that_predicted_best_decides() -> None:
    errors = {"hoffmann": 0.06, "kaplan": 0.003, "compute": 0.001}
    assert choose_basis(["hoffmann", "kaplan"], errors) == "kaplan"
    assert choose_basis(["hoffmann"], errors) == "hoffmann"
    assert choose_basis(["hoffmann", "kaplan"], {"kaplan": 0.5}) == "kaplan"
    assert choose_basis(["hoffmann", "kaplan"], {}) == "hoffmann"
    assert choose_basis([], errors) is None


def test_a_plan_on_kaplans_law_is_its_own_optimum(study: Path) -> None:
    """Kaplan's law of the same runs, chosen by a backtest: N* is where its loss is least at the budget."""
    backtest = document(study / "backtest.json")
    backtest["laws"]["kaplan"]["mean_absolute_relative_error"] = 0.0
    (study / "kaplan_wins.json").write_text(json.dumps(backtest))
    make_plan(study / "runs.parquet", study / "fits", study / "kaplan_wins.json", study / "k.json", at(1e14), TRAINING)
    plan = document(study / "k.json")
    assert plan["basis"] == "kaplan"
    (budget,) = plan["budgets"]
    fit = {name: entry["value"] for name, entry in document(study / "fits" / "kaplan.json")["parameters"].items()}
    best = budget["law"]["params_opt"]["value"]
    tokens = budget["law"]["tokens_opt"]["value"]
    assert budget["law"]["loss"]["value"] == pytest.approx(kaplan(best, tokens, **fit), rel=1e-6)
    regret = budget["law"]["regret"]
    middle = len(regret["params"]) // 2
    assert regret["params"][middle] == pytest.approx(best)
    assert regret["loss_nats"][middle] < min(regret["loss_nats"][0], regret["loss_nats"][-1])


def test_models_without_layers_and_runs_that_never_decay_are_left_out(rows: Rows, write_runs: Write) -> None:
    bare = dict(rows[0], run="bare", n_layer=0, params_non_embedding=0, schedule_completed=1.0)
    constant = dict(rows[-1], run="constant", schedule_completed=0.0, test_loss_nats=9.0)
    runs = write_runs([dict(row, schedule_completed=1.0) for row in rows] + [bare, constant])
    run_fit("params", runs, runs, runs.parent / "fits", OPTIONS)
    fit = document(runs.parent / "fits" / "params.json")
    dropped = {entry["name"]: [line["run"] for line in entry["dropped"]] for entry in fit["filters"]}
    assert (dropped["with_layers"], dropped["annealed"]) == (["bare"], ["constant"])
    alone = write_runs(
        [dict(constant, run=f"r{i}", params_non_embedding=10.0**i, schedule_completed=0.0) for i in (3, 4, 5, 6)]
    )
    run_fit("params", alone, alone, runs.parent / "alone", OPTIONS)
    assert "annealed" not in [entry["name"] for entry in document(runs.parent / "alone" / "params.json")["filters"]]


def test_a_study_without_transformers_plans_nothing_and_says_so(rows: Rows, write_runs: Write) -> None:
    runs = write_runs([row | {"architecture": "lstm"} for row in rows])
    plan = runs.parent / "plan.json"
    make_plan(runs, fit_all(runs, ("isoflop",)), untested(plan), plan, at(1e14), TRAINING)
    found = document(plan)
    assert found["basis"] is None
    assert found["frontier"] is None
    assert found["budgets"][0]["status"] == "refused"
    assert "only Transformers are planned" in found["budgets"][0]["warnings"][0]

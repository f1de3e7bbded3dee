"""Every experiment finds what was planted in the tables of the study that it belongs to, or says why it cannot."""

from pathlib import Path

import numpy as np
import pytest
from tests.fits.planted_studies import finding, fit, holds, noise_of, write_study

from scaling_lab.science.laws import kaplan, kaplan_steps
from scaling_lab.science.overfitting import early_stopping_bound
from scaling_lab.science.published import PUBLISHED
from scaling_lab.spec import RunSpec

SMALL = {"Nc": 6e8, "Dc": 6e8, "alpha_N": 0.12, "alpha_D": 0.2}
STEPS = {"Nc": 6e8, "Sc": 400.0, "alpha_N": 0.12, "alpha_S": 0.8}


def size(spec: RunSpec) -> float:
    return float(spec.architecture.shape.params_non_embedding)


def ladder(spec: RunSpec) -> float:
    """L(N, D) of runs that read their text once, with noise."""
    return float(kaplan(size(spec), spec.data_tokens, **SMALL)) * noise_of(spec)


def test_the_shape_whose_loss_is_least_is_found_and_sizes_are_made_equal(tmp_path: Path) -> None:
    def loss(spec: RunSpec) -> float:
        model = spec.architecture
        aspect = np.log(model.d_model / model.n_layer / 16) ** 2
        return 8 * size(spec) ** -0.07 * (1 + 0.01 * aspect) * noise_of(spec, 0.0005) * (spec.tokens / 9e5) ** -0.1

    record = fit(write_study(tmp_path, "shape", loss), "shape")
    assert record["status"] == "ok", record["reason"]
    panel = next(p for p in record["panels"] if p["axis"] == "aspect_ratio")
    assert len(panel["values"]) == 7
    best = finding(record, "best aspect ratio")
    assert holds(best, 16) or best["value"] == pytest.approx(16, rel=0.25)
    increase = [entry["value"] for entry in panel["increase_percent"]]
    assert increase[0] == pytest.approx(100 * 0.01 * np.log(16) ** 2, abs=1.0)  # 16 layers of width 16
    assert finding(record, "best width of a head")["status"] == "refused"


def test_a_study_without_seeds_cannot_tell_shapes_from_noise(tmp_path: Path) -> None:
    table = write_study(tmp_path, "transfer", ladder)
    record = fit(table, "shape")
    assert (record["status"], record["reason"]["code"]) == ("refused", "too_few_points")
    assert "3 seeds" in record["reason"]["message"]


def test_the_best_rate_of_each_size_and_the_rule_through_them(tmp_path: Path) -> None:
    def loss(spec: RunSpec) -> float:
        off = np.log(spec.optimizer.learning_rate / (0.3 * size(spec) ** -0.4))
        return 8 * size(spec) ** -0.07 * (1 + 0.01 * off**2) * noise_of(spec, 0.0005)

    record = fit(write_study(tmp_path, "learning_rate", loss), "learning_rate")
    assert record["status"] == "ok", record["reason"]
    assert holds(finding(record, "q of best rate"), 0.4)
    assert len(record["sizes"]) == 4
    assert all(len(entry["rates"]) == 5 for entry in record["sizes"])
    assert any(entry["off_optimum"] for entry in record["sizes"])


def test_rates_that_are_best_at_an_edge_give_no_rule(tmp_path: Path) -> None:
    table = write_study(tmp_path, "learning_rate", lambda spec: 5 * spec.optimizer.learning_rate**0.02)
    record = fit(table, "learning_rate")
    assert record["status"] == "refused"
    assert "at 0 sizes" in record["reason"]["message"]
    assert {entry["reason"]["code"] for entry in record["sizes"]} <= {
        "edge_optimum", "inverted_parabola", "no_curvature",
    }  # fmt: skip


def test_transfer_tells_a_slope_from_a_constant(tmp_path: Path) -> None:
    def others(name: str, loss: float) -> float:
        return 1.2 * loss + 0.1 if name == "wiki" else loss + 0.5

    record = fit(write_study(tmp_path, "transfer", ladder, others=others), "transfer")
    assert record["status"] == "ok"
    assert finding(record, "wiki: slope")["value"] == pytest.approx(1.2, abs=1e-6)
    assert finding(record, "hansard: slope")["value"] == pytest.approx(1.0, abs=1e-6)
    assert finding(record, "hansard: offset")["value"] == pytest.approx(0.5, abs=1e-6)
    assert record["texts"]["loss_wiki_nats"]["residual_sd_slope_1"] > 0.01


def test_the_law_along_the_context_and_what_a_short_context_gains(tmp_path: Path) -> None:
    def positions(spec: RunSpec, loss: float) -> np.ndarray:
        noise = np.random.default_rng(3).standard_normal(128)[: spec.architecture.context]
        gain = 0.3 if spec.architecture.context == 8 else 0.0
        return loss + 3 * np.arange(1, spec.architecture.context + 1) ** -0.6 + 0.02 * noise - gain

    record = fit(write_study(tmp_path, "context", ladder, positions=positions), "context")
    assert record["status"] == "ok", record["reason"]
    exponents = [entry["parameters"]["p"]["value"] for entry in record["sizes"] if entry["status"] == "ok"]
    assert len(exponents) == 9
    assert np.median(exponents) == pytest.approx(0.6, abs=0.05)
    gain = finding(record, "loss of a context of 8 less")
    assert gain["interval"]["high"] < 0
    assert gain["value"] == pytest.approx(-0.3, abs=0.1)


def test_datasets_that_differ_by_a_factor_and_one_that_does_not(tmp_path: Path) -> None:
    def loss(spec: RunSpec) -> float:
        factor = {512: 0.8, 4096: 1.3 * (size(spec) / 1e4) ** 0.03}.get(spec.architecture.vocab_size, 1.0)
        return factor * ladder(spec)

    record = fit(write_study(tmp_path, "vocabulary", loss), "datasets")
    assert record["status"] == "ok", record["reason"]
    by_size = {entry["dataset"].split("-")[1]: entry for entry in record["factors"]}
    assert by_size["bpe512"]["factor"]["value"] == pytest.approx(0.8, rel=0.005)
    assert holds(by_size["bpe512"]["power_of_N"], 0.0)
    assert not holds(by_size["bpe4096"]["power_of_N"], 0.0)
    assert by_size["bpe4096"]["power_of_N"]["value"] == pytest.approx(0.03, abs=0.005)


def test_one_dataset_is_compared_with_nothing(tmp_path: Path) -> None:
    record = fit(write_study(tmp_path, "shape", ladder), "datasets")
    assert (record["status"], record["reason"]["code"]) == ("refused", "single_value")


def test_an_architecture_is_measured_against_transformers_of_equal_size(tmp_path: Path) -> None:
    def loss(spec: RunSpec) -> float:
        worse = 1.05 if spec.architecture.kind == "lstm" else 1.0
        off = 0.01 * np.log(spec.optimizer.learning_rate / (0.19 * size(spec) ** -0.32)) ** 2
        return 8 * size(spec) ** -0.07 * (worse + off) * noise_of(spec, 0.0005)

    record = fit(write_study(tmp_path, "lstm", loss), "architectures")
    assert record["status"] == "ok", record["reason"]
    for layers in ("1 layer:", "2 layers:", "4 layers:"):
        assert finding(record, f"lstm, {layers}")["value"] == pytest.approx(5.0, abs=0.3)


def test_reuse_is_counted_both_ways(tmp_path: Path) -> None:
    def loss(spec: RunSpec) -> float:
        return 8 * float(spec.architecture.shape.params_with_reuse) ** -0.07 * noise_of(spec, 0.0005)

    record = fit(write_study(tmp_path, "universal_transformer", loss), "architectures")
    reuse = next(entry for entry in record["series"] if entry["series"] == "universal, reuse 4")
    assert reuse["mean_params_with_reuse"]["value"] == pytest.approx(0.0, abs=0.3)
    assert reuse["mean_params_non_embedding"]["value"] == pytest.approx(100 * (4**-0.07 - 1), abs=0.6)


def test_early_stopping_returns_the_surface_and_the_bound_holds(tmp_path: Path) -> None:
    def loss(spec: RunSpec) -> float:
        return float(kaplan(size(spec), spec.data_tokens, **SMALL)) * noise_of(spec, 0.001)

    def stopped(spec: RunSpec) -> int | None:
        if spec.stopping is None or spec.unique_tokens is None:
            return None
        excess = kaplan(size(spec), spec.data_tokens, **SMALL) - kaplan(size(spec), spec.tokens, **SMALL)
        return min(spec.steps - 1, int(1.3 * early_stopping_bound(excess, 0.0, STEPS["Sc"], STEPS["alpha_S"])))

    def curve(spec: RunSpec, steps: np.ndarray) -> np.ndarray:
        return np.asarray(kaplan_steps(size(spec), steps, **STEPS))

    table = write_study(tmp_path, "size_and_data", loss, stopped=stopped, curve=curve)
    surface = fit(table, "early_stopped")
    assert surface["status"] == "ok", surface["reason"]
    assert finding(surface, "alpha_N / alpha_D")["value"] == pytest.approx(0.6, abs=0.06)
    assert surface["overfitting"]["scatter_about_law"] < 0.01
    needed = surface["data_needed"]
    assert [entry["value"] for entry in needed] == sorted(entry["value"] for entry in needed)
    one_pass = fit(table, "kaplan")
    assert {"one_ending"} <= {applied["name"] for applied in one_pass["filters"]}
    bound = fit(table, "stopping_bound")
    assert bound["status"] == "ok", bound["reason"]
    assert bound["parameters"]["alpha_S"]["value"] == pytest.approx(STEPS["alpha_S"], abs=0.02)
    assert finding(bound, "stopping step over bound")["value"] > 1


def test_table_2_is_what_the_findings_stand_beside(tmp_path: Path) -> None:
    table = write_study(tmp_path, "size_and_data", lambda s: float(kaplan(size(s), s.data_tokens, **SMALL)))
    record = fit(table, "early_stopped", 20)
    published = {entry["quantity"]: entry["published"] for entry in record["findings"]}
    assert {name: published[name] for name in PUBLISHED["kaplan"].values} == dict(PUBLISHED["kaplan"].values)
    assert published["alpha_N / alpha_D, the other reading"] == pytest.approx(0.8)

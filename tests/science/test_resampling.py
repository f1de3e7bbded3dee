"""Clusters stay together, strata keep their size, and wild factors are what they should be."""

import numpy as np
import pytest

from scaling_lab.science.bootstrap import BootstrapOptions, bootstrap_law, require_offset
from scaling_lab.science.fitting import FitResult, Objective, fit_law
from scaling_lab.science.laws import LAWS
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.resampling import cluster_counts, design_of, resample, wild_multipliers

X = np.geomspace(1e3, 1e7, 24)
PLANTED = {"Xc": 1e12, "alpha": 0.09}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def fit(noise: float = 0.01, shared: float = 0.0) -> FitResult:
    """Six runs of four checkpoints; `shared` is the noise that the checkpoints of a run have in common."""
    draw = np.random.default_rng(3)
    errors = noise * draw.standard_normal(24) + shared * np.repeat(draw.standard_normal(6), 4)
    return fit_law(
        LAWS["power"], {"X": X}, LAWS["power"].predict(PLANTED, {"X": X}) * np.exp(errors), Objective("squares")
    )


def test_a_run_is_drawn_with_all_its_checkpoints() -> None:
    runs = np.repeat(["a", "b", "c", "d"], 5)
    counts = cluster_counts(design_of(20, runs, None), 50, rng())
    for name in "abcd":
        assert np.all(np.ptp(counts[:, runs == name], axis=1) == 0)
    assert counts[:, ::5].sum(axis=1) == pytest.approx(np.full(50, 4))


def test_every_stratum_keeps_its_weight_and_the_variance_is_unbiased() -> None:
    strata = np.repeat([0, 1, 2], 4)
    counts = cluster_counts(design_of(12, None, strata), 4000, rng())
    values = rng().standard_normal(12)
    for stratum in range(3):
        assert counts[:, strata == stratum].sum(axis=1) == pytest.approx(np.full(4000, 4))
    within = sum(4 * np.var(values[strata == s], ddof=1) for s in range(3))
    assert np.var(counts @ values) == pytest.approx(within, rel=0.08)


def test_strata_of_one_cluster_are_joined_and_a_split_cluster_is_an_error() -> None:
    design = design_of(4, None, np.array([0, 1, 2, 2]))
    assert design.strata[0] == design.strata[1] != design.strata[2]
    with pytest.raises(ValueError, match="two strata"):
        design_of(4, np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2]))


def test_wild_factors_are_signs_or_six_values() -> None:
    many = wild_multipliers(design_of(40, None, None), 500, rng())
    assert set(np.unique(many)) == {-1.0, 1.0}
    few = wild_multipliers(design_of(8, np.repeat([0, 1], 4), None), 500, rng())
    assert len(np.unique(few)) == 6
    assert np.all(np.ptp(few[:, :4], axis=1) == 0)
    assert np.mean(few**2) == pytest.approx(1, abs=0.1)


def test_a_small_design_is_resampled_wild() -> None:
    small, large = design_of(40, None, None), design_of(400, None, None)
    assert BootstrapOptions().method_for(small) == "wild"
    assert BootstrapOptions().method_for(large) == "runs"
    assert BootstrapOptions(method="residuals").method_for(small) == "residuals"


def test_known_seed_noise_sets_the_spread() -> None:
    target, counts = resample(
        np.zeros(30), np.ones(30), np.zeros(30), design_of(30, None, None), BootstrapOptions(400, method="noise",
        noise=0.02), rng(), 2, False,
    )  # fmt: skip
    assert np.std(target) == pytest.approx(0.02, rel=0.05)
    assert np.all(counts == 1)


def test_residuals_that_the_fit_runs_through_are_not_drawn() -> None:
    """Two of twelve residuals are zero, as after a fit by least absolute deviations with two parameters."""
    loss = np.concatenate([np.zeros(2), np.full(10, 0.01)])
    for method in ("wild", "residuals"):
        options = BootstrapOptions(400, method=method)  # type: ignore[arg-type]
        target, _ = resample(np.zeros(12), loss, np.zeros(12), design_of(12, None, None), options, rng(), 2, True)
        assert np.std(target[:, :2]) > 0.003


def test_checkpoints_of_a_run_widen_the_interval() -> None:
    result, runs = fit(0.001, 0.01), np.repeat(np.arange(6), 4)
    for method in ("runs", "wild"):
        options = BootstrapOptions(300, method=method, starts=1)  # type: ignore[arg-type]
        alone, together = (bootstrap_law(result, options, clusters) for clusters in (None, runs))
        assert np.std(together.values["alpha"]) > 1.2 * np.std(alone.values["alpha"])


def test_strata_are_used() -> None:
    strata = np.repeat(np.arange(4), 6)
    draws = bootstrap_law(fit(), BootstrapOptions(100, method="runs", starts=1), strata=strata)
    assert draws.count == 100


def test_an_offset_that_may_be_zero_is_refused() -> None:
    x = np.geomspace(1e3, 3e4, 16)
    law, noise = LAWS["power_offset"], np.random.default_rng(1)
    loss = law.predict({"E": 0.5, "Xc": 1e5, "alpha": 0.3}, {"X": x}) * np.exp(0.02 * noise.standard_normal(16))
    result = fit_law(law, {"X": x}, loss)
    draws = bootstrap_law(result, BootstrapOptions(100))
    with pytest.raises(FitRefusedError) as caught:
        require_offset(result, draws, 0.9)
    assert caught.value.code is RefusalCode.OFFSET_CONTAINS_ZERO
    wide = np.geomspace(1e3, 1e9, 30)
    sure = fit_law(law, {"X": wide}, law.predict({"E": 1.5, "Xc": 1e5, "alpha": 0.3}, {"X": wide}))
    require_offset(sure, bootstrap_law(sure, BootstrapOptions(50)), 0.9)

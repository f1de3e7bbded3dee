"""Intervals cover, draws repeat, failures are counted."""

import numpy as np
import pytest

from scaling_lab.science.bootstrap import (
    BootstrapOptions,
    bootstrap_law,
    percentile_interval,
    predictive_draws,
    supports_offset,
)
from scaling_lab.science.envelope import bootstrap_envelope, fit_envelope, lower_envelope
from scaling_lab.science.fitting import FitResult, Objective, fit_law
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.optimum import closed_form_optimum
from scaling_lab.science.projection import projected_starts
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

PLANTED = {"E": 1.2, "A": 12.0, "B": 60.0, "alpha": 0.25, "beta": 0.28}


def design() -> dict[str, Array]:
    n, d = np.meshgrid(np.geomspace(768, 2.5e5, 7), np.geomspace(2.5e5, 8e6, 6))
    return {"N": n.ravel(), "D": d.ravel()}


def noisy_fit(rng: np.random.Generator, objective: Objective | None = None, noise: float = 0.004) -> FitResult:
    runs, law = design(), LAWS["hoffmann"]
    loss = law.predict(PLANTED, runs) * np.exp(noise * rng.standard_normal(len(runs["N"])))
    return fit_law(law, runs, loss, objective, projected_starts(runs, loss))


@pytest.mark.parametrize(("method", "objective"), [("wild", "huber"), ("residuals", "squares"), ("runs", "squares")])
def test_intervals_cover(method: str, objective: str) -> None:
    """90 % intervals of a, N* and the loss one decade beyond the data; full size in benchmarks/coverage."""
    beyond, trials = 60 * float((design()["N"] * design()["D"]).max()), 120
    best = closed_form_optimum(PLANTED, beyond)
    truth = {"a": 0.28 / 0.53, "N": float(best.params), "L": float(best.loss)}
    covered = dict.fromkeys(truth, 0)
    for seed in range(trials):
        result = noisy_fit(np.random.default_rng([seed, 1]), Objective(objective))  # type: ignore[arg-type]
        draws = bootstrap_law(result, BootstrapOptions(120, seed=seed, method=method, starts=1))  # type: ignore[arg-type]
        there = closed_form_optimum({name: draws.values[name] for name in PLANTED}, beyond)
        for name, values in (("a", draws.values["a"]), ("N", there.params), ("L", there.loss)):
            interval = percentile_interval(values, 0.9)
            covered[name] += interval.low <= truth[name] <= interval.high
    assert all(0.82 <= count / trials <= 0.97 for count in covered.values()), covered


def test_intervals_of_a_new_run_cover() -> None:
    rng, inside, trials = np.random.default_rng(7), 0, 80
    new = {"N": np.array([1e6]), "D": np.array([3e7])}
    loss = float(LAWS["hoffmann"].predict(PLANTED, new)[0])
    for seed in range(trials):
        result = noisy_fit(rng, Objective("squares"))
        draws = predictive_draws(result, bootstrap_law(result, BootstrapOptions(120, seed=seed, starts=1)), new, seed)
        low, high = np.quantile(draws[:, 0], [0.05, 0.95])
        inside += low <= loss * np.exp(0.004 * rng.standard_normal()) <= high
    assert 0.8 <= inside / trials <= 0.98


def test_draws_repeat_by_seed_and_contain_the_estimate() -> None:
    result = noisy_fit(np.random.default_rng(0))
    first, second, other = (bootstrap_law(result, BootstrapOptions(60, seed=s)) for s in (3, 3, 4))
    assert all(np.array_equal(first.values[name], second.values[name]) for name in first.values)
    assert not np.array_equal(first.values["a"], other.values["a"])
    interval = first.interval("a", 0.9)
    assert interval is not None
    assert interval.low <= result.derived["a"] <= interval.high
    assert set(first.values) == {"E", "A", "B", "alpha", "beta", "a", "b", "G", "loss_exponent"}


def test_added_noise_widens_the_intervals() -> None:
    result = noisy_fit(np.random.default_rng(0))
    plain, noisy = (bootstrap_law(result, BootstrapOptions(100, noise=s)) for s in (0.0, 0.01))
    assert np.std(noisy.values["a"]) > 1.3 * np.std(plain.values["a"])


def test_failed_refits_are_counted() -> None:
    """Three sizes of two runs each: some resamples miss a size and cannot be fitted."""
    law, x = LAWS["power"], np.array([1e3, 1e3, 1e4, 1e4, 1e5, 1e5])
    rng = np.random.default_rng(2)
    loss = law.predict({"Xc": 1e12, "alpha": 0.09}, {"X": x}) * np.exp(0.01 * rng.standard_normal(6))
    draws = bootstrap_law(
        fit_law(law, {"X": x[:6] * [1, 1.1, 1, 1.1, 1, 1.1]}, loss), BootstrapOptions(2000, method="runs")
    )
    assert draws.count + sum(draws.failed.values()) == 2000
    same_size = {"X": np.array([1e3, 1e3, 1e3, 1e3, 1e3, 1e4, 1e5])}
    result = fit_law(law, same_size, np.array([5.0, 5.01, 4.99, 5.02, 5.0, 4.2, 3.5]))
    assert bootstrap_law(result, BootstrapOptions(500, method="runs")).failed["degenerate_resample"] > 20


def offset_is_supported(x: Array, offset: float, noise: float, seed: int) -> bool:
    law, rng = LAWS["power_offset"], np.random.default_rng(seed)
    loss = law.predict({"E": offset, "Xc": 1e5, "alpha": 0.3}, {"X": x}) * np.exp(noise * rng.standard_normal(len(x)))
    try:
        result = fit_law(law, {"X": x}, loss)
    except FitRefusedError:  # the best offset is zero itself
        return False
    return supports_offset(result, bootstrap_law(result, BootstrapOptions(200)), 0.9)


def test_support_of_an_offset() -> None:
    """Six decades tell an offset from none; one and a half decades do not."""
    wide, narrow = np.geomspace(1e3, 1e9, 30), np.geomspace(1e3, 3e4, 16)
    assert all(offset_is_supported(wide, 1.5, 0.002, seed) for seed in range(6))
    assert sum(offset_is_supported(narrow, 0.5, 0.02, seed) for seed in range(10)) <= 3


def test_lower_envelope_is_the_pareto_set() -> None:
    flops = np.array([1.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    loss = np.array([5.0, 4.9, 5.1, 4.0, 4.0, 3.0])
    assert lower_envelope(flops, loss).tolist() == [1, 3, 5]


def test_runs_of_one_budget_compete_as_one_cost() -> None:
    """Whole steps make the worse run of a budget 1 % cheaper: it is no point of the envelope for that."""
    flops = np.array([0.99, 1.0, 1.98, 2.0, 4.0])
    loss = np.array([5.0, 4.9, 4.5, 4.6, 4.0])
    assert lower_envelope(flops, loss).tolist() == [1, 2, 4]


def test_envelope_laws_are_recovered() -> None:
    flops = np.repeat(np.geomspace(1e10, 1e14, 6), 2)
    params = 0.3 * flops**0.5 * np.tile([1.0, 3.0], 6)
    loss = (1e25 / flops) ** 0.05 * np.tile([1.0, 1.05], 6)
    envelope = fit_envelope(flops, loss, params, Objective())
    assert envelope.members.tolist() == [0, 2, 4, 6, 8, 10]
    assert envelope.law.parameters == pytest.approx({"Xc": 1e25, "alpha": 0.05}, rel=1e-4)
    assert envelope.params_exponent == pytest.approx(0.5)
    assert envelope.params_coefficient == pytest.approx(0.3)
    draws = bootstrap_envelope(envelope, flops, loss, params, BootstrapOptions(100))
    assert draws.count + sum(draws.failed.values()) == 100
    interval = draws.interval("alpha", 0.9)
    assert interval is not None
    assert interval.low <= 0.05 + 1e-6
    assert interval.high >= 0.05 - 1e-6


def test_an_envelope_of_three_runs_is_refused() -> None:
    with pytest.raises(FitRefusedError) as caught:
        fit_envelope(np.array([1.0, 2, 3]), np.array([3.0, 2, 1]), np.ones(3), Objective())
    assert caught.value.code is RefusalCode.TOO_FEW_POINTS

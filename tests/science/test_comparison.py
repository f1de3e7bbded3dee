"""Weights, influence, comparison of forms and sensitivity find what was planted."""

import numpy as np
import pytest

from scaling_lab.science.bootstrap import BootstrapOptions
from scaling_lab.science.comparison import Form, best_by, compare_forms, expanding_windows, fit_form
from scaling_lab.science.fitting import FitResult, Objective, fit_law
from scaling_lab.science.influence import leave_one_out
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.refusal import FitRefusedError, RefusalCode
from scaling_lab.science.sensitivity import (
    vary_allocation,
    vary_cheapest,
    vary_conventions,
    vary_objective,
    vary_outliers,
)

LAW = {"E": 1.2, "A": 12.0, "B": 60.0, "alpha": 0.25, "beta": 0.28}
OPTIONS = BootstrapOptions(60, starts=1)


def surface(noise: float = 0.003) -> tuple[dict[str, Array], Array, Array]:
    n, d = np.meshgrid(np.geomspace(768, 2.5e5, 7), np.geomspace(2.5e5, 8e6, 6))
    runs = {"N": n.ravel(), "D": d.ravel()}
    loss = LAWS["hoffmann"].predict(LAW, runs) * np.exp(noise * np.random.default_rng(4).standard_normal(42))
    return runs, loss, 6 * runs["N"] * runs["D"]


def fitted(objective: Objective | None = None) -> FitResult:
    runs, loss, _ = surface()
    return fit_form(Form(LAWS["hoffmann"], runs), loss, objective or Objective())


def test_weights_count_runs() -> None:
    """Weight 2 is the run twice; weight 0 is without it; equal weights change nothing but the objective's unit."""
    law, x = LAWS["power"], np.geomspace(1e3, 1e6, 12)
    loss = law.predict({"Xc": 1e12, "alpha": 0.1}, {"X": x}) * np.exp(0.01 * np.sin(np.arange(12.0)))
    weights = np.array([2.0, *np.ones(10), 0.0])
    weighted = fit_law(law, {"X": x}, loss, weights=weights)
    repeated = fit_law(law, {"X": np.append(x[:11], x[0])}, np.append(loss[:11], loss[0]))
    assert weighted.parameters == pytest.approx(repeated.parameters, rel=1e-6)
    assert weighted.objective_value == pytest.approx(repeated.objective_value)
    assert len(weighted.residuals) == 11
    plain, scaled = (fit_law(law, {"X": x}, loss, Objective("squares"), weights=w) for w in (None, np.full(12, 5.0)))
    assert scaled.parameters == pytest.approx(plain.parameters, rel=1e-8)
    assert scaled.standard_errors == pytest.approx(plain.standard_errors, rel=1e-6)


def test_unequal_noise_with_inverse_variance_weights() -> None:
    """The sandwich's standard error matches the spread of refits."""
    law, x, draw = LAWS["power"], np.geomspace(1e3, 1e6, 40), np.random.default_rng(0)
    sd = np.where(x < 3e4, 0.03, 0.003)
    clean, fits = law.predict({"Xc": 1e12, "alpha": 0.1}, {"X": x}), []
    for _ in range(60):
        loss = clean * np.exp(sd * draw.standard_normal(40))
        fits.append(fit_law(law, {"X": x}, loss, Objective("squares"), np.array([[27.0, 0.1]]), 1 / sd**2))
    claimed = np.mean([fit.standard_errors["alpha"] for fit in fits])
    assert claimed == pytest.approx(np.std([fit.parameters["alpha"] for fit in fits]), rel=0.3)


def test_influence_is_the_shift_of_a_refit() -> None:
    result = fitted(Objective("squares"))
    exact = leave_one_out(result)
    assert exact.converged.all()
    errors = np.sqrt(np.diag(result.covariance))
    assert result.influence / errors == pytest.approx(exact.shift, abs=0.25)
    assert np.corrcoef((result.influence / errors).ravel(), exact.shift.ravel())[0, 1] > 0.98
    assert exact.derived["a"].shape == (42,)
    assert result.leverage.sum() == pytest.approx(5)


def test_a_spoilt_run_is_the_most_influential_and_an_outlier() -> None:
    runs, loss, _ = surface()
    loss[3] *= 1.2
    result = fit_form(Form(LAWS["hoffmann"], runs), loss, Objective("squares"))
    assert leave_one_out(result).strongest(1).tolist() == [3]
    variations = vary_outliers(result, (1, 2))
    assert [v.left_out.tolist() for v in variations if "the 1 " in v.choice] == [[3], [3]]
    assert all(v.fit is not None for v in variations)
    clean = fitted(Objective("squares")).derived["a"]
    left = [abs(v.change(result, "a") + result.derived["a"] - clean) for v in variations]
    assert max(left) < abs(result.derived["a"] - clean)


def test_the_planted_form_wins() -> None:
    runs, loss, flops = surface()
    forms = {
        "hoffmann": Form(LAWS["hoffmann"], runs),
        "kaplan": Form(LAWS["kaplan"], runs),
        "compute alone": Form(LAWS["power_offset"], {"X": flops}),
        "one size": Form(LAWS["power"], {"X": np.full(42, 1e6)}),
    }
    scores = compare_forms(forms, loss, flops, Objective("squares"), OPTIONS, factor=8)
    assert scores[0].name == "hoffmann"
    assert scores[-1].name == "one size"
    assert scores[-1].refusal is not None
    assert scores[-1].refusal.code is RefusalCode.SINGLE_VALUE
    assert scores[0].akaike_weight > 0.99
    assert sum(score.akaike_weight for score in scores) == pytest.approx(1)
    assert scores[0].hold_out is not None
    assert scores[0].hold_out.mean_absolute_error < 0.02
    for criterion in ("aicc", "window_error"):
        best = best_by(scores, criterion)
        assert best is not None
        assert best.name == "hoffmann"
    assert best_by(scores[-1:], "aicc") is None


def test_a_hold_out_that_leaves_too_little_is_said() -> None:
    runs, loss, flops = surface()
    (score,) = compare_forms({"hoffmann": Form(LAWS["hoffmann"], runs)}, loss, flops, options=OPTIONS, factor=1e9)
    assert score.hold_out is None
    assert score.hold_out_refusal is not None
    assert score.fit is not None


def test_windows_expand() -> None:
    runs, loss, flops = surface()
    windows = expanding_windows(Form(LAWS["hoffmann"], runs), loss, flops, Objective(), OPTIONS)
    assert 2 <= len(windows) <= 4
    assert all(len(w.held_out) > 0 for w in windows)
    assert all(w.mean_absolute_error < 0.03 for w in windows)


def test_sensitivity_names_every_choice() -> None:
    runs, loss, flops = surface()
    base = fitted()
    objectives = vary_objective(Form(LAWS["hoffmann"], runs), loss)
    assert [v.choice for v in objectives][-1] == "least squares"
    changes = [v.change(base, "a") for v in objectives]
    assert min(changes) <= 0 <= max(changes)
    assert max(changes) - min(changes) < 0.05
    assert objectives[1].change(base, "a") == pytest.approx(0, abs=1e-6)
    cheapest = vary_cheapest(base, flops)
    assert [len(v.left_out) for v in cheapest] == [5, 9, 13]
    assert flops[cheapest[0].left_out].max() <= np.sort(flops)[5]
    few = vary_cheapest(base, flops, (0.9,))[0]
    assert few.refusal is not None
    assert np.isnan(few.change(base, "a"))


def test_conventions_side_by_side() -> None:
    runs, loss, _ = surface()
    with_embedding = {"N": runs["N"] + 64 * runs["N"] ** (1 / 3), "D": runs["D"]}
    both = vary_conventions(LAWS["hoffmann"], {"non-embedding": runs, "total": with_embedding}, loss, Objective())
    assert both[0].fit is not None
    assert both[1].fit is not None
    assert abs(both[0].fit.derived["a"] - both[1].fit.derived["a"]) > 0.01


def test_an_estimate_under_several_counts_of_flops() -> None:
    def estimate(flops: Array) -> float:
        if flops[0] < 0:
            raise FitRefusedError(RefusalCode.TOO_FEW_POINTS, "none")
        return float(flops.sum())

    answers = vary_allocation(estimate, {"6n": np.ones(3), "bad": -np.ones(3)})
    assert answers["6n"] == 3.0
    assert isinstance(answers["bad"], FitRefusedError)

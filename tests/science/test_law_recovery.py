"""Every law of the registry can be fitted: noise-free data return the planted constants (papers.md F16)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.fitting import FitResult, Objective, ObjectiveName, fit_law
from scaling_lab.science.fixing import fix_parameters
from scaling_lab.science.laws import LAWS, Array, Law, complex_step, hoffmann
from scaling_lab.science.projection import fit_projected
from scaling_lab.science.published import PUBLISHED
from scaling_lab.science.refusal import FitRefusedError, RefusalCode


def grid(**values: Array) -> dict[str, Array]:
    """Every combination of the values."""
    meshes = np.meshgrid(*values.values(), indexing="ij")
    return {name: mesh.ravel() for name, mesh in zip(values, meshes, strict=True)}


SIZES, TOKENS = np.geomspace(1e6, 1e9, 6), 22e9 / 4.0 ** np.arange(7)
PLANTED: Mapping[str, tuple[Mapping[str, float], dict[str, Array]]] = {
    "power": (PUBLISHED["kaplan_compute"].values, grid(X=np.geomspace(1e-6, 1, 8) * PF_DAY)),
    "power_offset": ({"E": 1.7, "Xc": 5e9, "alpha": 0.3}, grid(X=np.geomspace(1e5, 1e9, 9))),
    "logarithm": (PUBLISHED["kaplan_logarithm"].values, grid(X=np.geomspace(1e4, 1e10, 8))),
    "bnsl": (
        {"E": 0.8, "b": 12.0, "c0": 0.08, "c1": 0.3, "d1": 3e6, "f1": 0.4},
        grid(X=np.geomspace(1e3, 1e11, 40)),
    ),
    "position": ({"E_T": 2.3, "k": 5.4, "p": 0.62}, grid(T=np.geomspace(1, 1024, 11))),
    "kaplan": (PUBLISHED["kaplan"].values, grid(N=SIZES, D=TOKENS)),
    "kaplan_symmetric": (
        {"Nc": 3e11, "Dc": 8e11, "alpha_N": 0.35, "alpha_D": 0.5, "beta": 0.3},
        grid(N=SIZES, D=TOKENS),
    ),
    "hoffmann": (PUBLISHED["besiroglu"].values, grid(N=SIZES, D=TOKENS)),
    "gadre": ({"E": 1.8, "a": 150.0, "b": 250.0, "eta": 0.16}, grid(N=SIZES, D=TOKENS)),
    "data_constrained": (
        PUBLISHED["muennighoff"].values,
        grid(N=np.geomspace(1e7, 1e10, 6), D=np.geomspace(1e9, 1e12, 6), U=np.array([1e8, 1e9, 1e10])),
    ),
    "kaplan_steps": (PUBLISHED["kaplan_steps"].values, grid(N=SIZES, S=np.geomspace(3e3, 2.5e5, 7))),
    "critical_batch": (PUBLISHED["kaplan_batch"].values, grid(L=np.linspace(2.4, 8, 9))),
    "hyperbola": ({"S_min": 1000.0, "E_min": 5e8}, grid(B=2.0 ** np.arange(15, 24, 2))),
    "transfer": (
        PUBLISHED["hernandez"].values,
        grid(D_F=np.geomspace(1e5, 1e9, 5), N=np.geomspace(1e6, 1e9, 4)),
    ),
}


def test_every_law_is_planted() -> None:
    assert set(PLANTED) == set(LAWS)


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_noise_free_data_return_the_law(name: str) -> None:
    truth, variables = PLANTED[name]
    law = LAWS[name]
    starts = law.start_grid()
    result = fit_law(law, variables, law.predict(truth, variables), starts=starts[:: 1 + len(starts) // 500])
    assert result.parameters == pytest.approx(dict(truth), rel=1e-3)
    assert result.predicted == pytest.approx(result.loss, rel=1e-7)


def fit_with_noise(law: Law, truth: Mapping[str, float], runs: dict[str, Array], seed: int) -> tuple[FitResult, float]:
    """The fit to runs with 0.3 % noise, and the objective of the truth, which the optimum cannot exceed."""
    loss = law.predict(truth, runs) * np.exp(0.003 * np.random.default_rng(seed).standard_normal(len(runs["N"])))
    size = np.abs(np.log(loss / law.predict(truth, runs)))
    inside = np.minimum(size, 1e-3)
    return fit_law(law, runs, loss), float((inside * (size - inside / 2)).sum())


@settings(max_examples=12)
@given(
    st.floats(0.1, 1.5), st.floats(0.05, 0.4), st.floats(0.05, 0.4), st.floats(-1.5, 1.5), st.floats(2.5, 5),
    st.floats(3, 7), st.integers(0, 99),
)  # fmt: skip
def test_planted_symmetric_laws_are_recovered(
    beta: float, of_size: float, of_data: float, ratio: float, middle: float, decades: float, seed: int
) -> None:
    """of_size and of_data: slopes of the loss where one term is all; ratio: log of the terms' ratio at mid-design."""
    law, runs = LAWS["kaplan_symmetric"], grid(N=10**decades * np.geomspace(1, 1e3, 7), D=np.geomspace(1e7, 1e10, 7))
    alpha_n, alpha_d, total = of_size / beta, of_data / beta, np.log(middle) / beta
    log_nc = np.mean(np.log(runs["N"])) + (total - np.log1p(np.exp(-ratio))) / alpha_n
    log_dc = np.mean(np.log(runs["D"])) + (total - np.log1p(np.exp(ratio))) / alpha_d
    truth = {"Nc": float(np.exp(log_nc)), "Dc": float(np.exp(log_dc)), "alpha_N": alpha_n, "alpha_D": alpha_d}
    truth["beta"] = beta
    exact = fit_law(law, runs, law.predict(truth, runs))
    assert np.log(list(exact.parameters.values())) == pytest.approx(np.log(list(truth.values())), rel=1e-4, abs=1e-4)
    noisy, of_truth = fit_with_noise(law, truth, runs, seed)
    assert noisy.objective_value < of_truth
    assert noisy.share_at_best > 0.1


@pytest.mark.parametrize("objective", ["huber", "squares"])
@pytest.mark.parametrize("fit", [fit_law, fit_projected])
def test_a_symmetric_law_of_hoffmann_runs_is_refused_for_its_outer_exponent(fit: Any, objective: ObjectiveName) -> None:
    """The runs of README: the best symmetric law is the limit of a large beta, which every search must reach."""
    sizes = np.geomspace(2e7, 2e9, 8).repeat(6)
    runs = {"N": sizes, "D": sizes * np.tile([5.0, 10, 20, 40, 80, 160], 8)}
    noise = np.exp(0.003 * np.random.default_rng(1).standard_normal(48))
    loss = np.asarray(hoffmann(runs["N"], runs["D"], 1.82, 482, 2085, 0.348, 0.366) * noise)
    with pytest.raises(FitRefusedError, match="lies on a bound: beta = 10") as caught:
        fit(LAWS["kaplan_symmetric"], runs, loss, Objective(objective))
    assert caught.value.code is RefusalCode.NOT_IDENTIFIED


def repeated_runs() -> dict[str, Array]:
    """Six sizes, three amounts of unique tokens, 1 to 100 passes over them."""
    runs = grid(N=np.geomspace(1e7, 1e10, 6), U=np.array([1e8, 1e9, 1e10]), epochs=np.array([1.0, 3, 10, 30, 100]))
    return {"N": runs["N"], "D": runs["U"] * runs["epochs"], "U": runs["U"]}


@settings(max_examples=8)
@given(
    st.floats(0.5, 2.5), st.floats(0.25, 0.5), st.floats(0.25, 0.5), st.floats(0.3, 2), st.floats(3e7, 3e8),
    st.floats(1.5, 15), st.floats(1.5, 20), st.integers(0, 99),
)  # fmt: skip
def test_planted_data_constrained_laws_are_recovered(
    offset: float, alpha: float, beta: float, data: float, useful: float, r_n: float, r_d: float, seed: int
) -> None:
    """data: the term of D in nats at 1e9 unique tokens; useful: their optimal size, which must lie inside the sizes
    trained, or nothing would tell R_N. Whole, and with E known."""
    law, runs = LAWS["data_constrained"], repeated_runs()
    truth = {"E": offset, "A": beta / alpha * data * useful**alpha, "B": data * 1e9**beta, "alpha": alpha, "beta": beta}
    truth |= {"R_N": r_n, "R_D": r_d}
    for chosen in (law, fix_parameters(law, {"E": offset})):
        exact = fit_law(chosen, runs, law.predict(truth, runs))
        assert exact.parameters == pytest.approx({n: truth[n] for n in chosen.parameter_names}, rel=1e-4)
        noisy, of_truth = fit_with_noise(chosen, truth, runs, seed)
        assert noisy.objective_value < of_truth
        assert noisy.share_at_best > 0.1


def test_parameters_that_do_not_saturate_are_named_in_the_refusal() -> None:
    """Runs whose excess parameters keep their worth: R_N has no finite best value, and the fit says so."""
    law, runs = LAWS["data_constrained"], repeated_runs()
    loss = law.predict(dict(PUBLISHED["muennighoff"].values) | {"R_N": 1e9}, runs)
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(len(loss)))
    with pytest.raises(FitRefusedError, match=r"lies on a bound: R_N = 1e\+05") as caught:
        fit_law(law, runs, loss * noise)
    assert caught.value.code is RefusalCode.NOT_IDENTIFIED


@pytest.mark.parametrize("objective", ["huber", "squares"])
def test_fixed_parameters_keep_the_derivatives_of_the_law(objective: ObjectiveName) -> None:
    """A fixed law and the whole one agree where the fixed value is the whole fit's own."""
    law, (truth, runs) = LAWS["data_constrained"], PLANTED["data_constrained"]
    loss = law.predict(truth, runs) * np.exp(0.003 * np.random.default_rng(4).standard_normal(len(runs["N"])))
    whole = fit_law(law, runs, loss, Objective(objective))
    fixed = fit_law(fix_parameters(law, {"E": whole.parameters["E"]}), runs, loss, Objective(objective))
    assert fixed.objective_value == pytest.approx(whole.objective_value, rel=1e-9)
    assert fixed.parameters == pytest.approx({n: v for n, v in whole.parameters.items() if n != "E"}, rel=1e-3)
    moved = fixed.theta + 0.01
    logs = {name: np.log(values) for name, values in runs.items()}
    assert fixed.law.log_form is not None
    exact, written = complex_step(fixed.law, moved[None], logs), fixed.law.log_prediction(moved[None], logs)
    assert written[0] == pytest.approx(exact[0], rel=1e-10)
    assert written[1] == pytest.approx(exact[1], rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"R_N": 0.0}, "R_N = 0; allowed: a positive number"), ({"E": -1.0}, "E = -1; allowed: 0 or more"),
     ({"A": float("nan")}, "A = nan; allowed: a positive number"), ({"F": 1.0}, "has no parameter 'F'")],
)  # fmt: skip
def test_impossible_values_of_known_parameters_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fix_parameters(LAWS["data_constrained"], values)

"""Every law fitted, from its grid and by variable projection, on laws drawn at random."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from scaling_lab.science.bootstrap import BootstrapOptions, bootstrap_law
from scaling_lab.science.fitting import Objective, fit_law
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.projection import SEPARABLE, fit_projected, projected_starts, projection_check
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

PLANTED: dict[str, dict[str, float]] = {
    "power": {"Xc": 1e13, "alpha": 0.08},
    "power_offset": {"E": 1.5, "Xc": 1e5, "alpha": 0.3},
    "logarithm": {"Xc": 1e15, "k": 0.1},
    "bnsl": {"E": 1.0, "b": 20.0, "c0": 0.1, "c1": 0.25, "d1": 1e6, "f1": 0.5},
    "position": {"E_T": 2.0, "k": 3.0, "p": 0.4},
    "kaplan": {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103},
    "kaplan_symmetric": {"Nc": 1e5, "Dc": 1e7, "alpha_N": 0.7, "alpha_D": 0.6, "beta": 0.15},
    "hoffmann": {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
    "gadre": {"E": 1.5, "a": 900.0, "b": 2100.0, "eta": 0.17},
    "kaplan_steps": {"Nc": 6.5e13, "Sc": 2.1e3, "alpha_N": 0.077, "alpha_S": 0.76},
    "critical_batch": {"B_star": 2.1e8, "alpha_B": 0.21},
    "hyperbola": {"S_min": 1e3, "E_min": 5e8},
    "transfer": {"k": 1.9e4, "alpha": 0.18, "beta": 0.38},
    "data_constrained": {"E": 1.87, "A": 521.0, "B": 1488.0, "alpha": 0.353, "beta": 0.353, "R_N": 5.3, "R_D": 15.4},
}
AXES: dict[str, Array] = {
    "X": np.geomspace(1e3, 1e9, 40),
    "T": np.geomspace(1, 1024, 40),
    "B": np.geomspace(2**14, 2**22, 40),
    "L": np.linspace(2, 5, 40),
    "N": np.geomspace(1e6, 1e9, 7),
    "D": np.geomspace(1e8, 1e11, 7),
    "S": np.geomspace(3e3, 3e5, 7),
    "D_F": np.geomspace(1e5, 1e8, 7),
    "U": np.geomspace(3e7, 1e9, 2),
}
# An exponent moves what the others mean, so a law is drawn by the exponents and the size of its terms in the middle.
NOISE = {"bnsl": 1e-4, "kaplan_symmetric": 1e-4, "data_constrained": 1e-4}  # laws that 0.2 % would hide


def runs_of(name: str) -> dict[str, Array]:
    mesh = np.meshgrid(*(AXES[v] for v in LAWS[name].variables))
    return {v: values.ravel() for v, values in zip(LAWS[name].variables, mesh, strict=True)}


def drawn_law(name: str, factors: list[float]) -> dict[str, float]:
    """A planted law with its exponents multiplied by factors and its scales so that the terms stay of the same size."""
    law, base, runs = LAWS[name], PLANTED[name], runs_of(name)
    drawn = {
        p.name: base[p.name] * (1.0 if p.log else factor) for p, factor in zip(law.parameters, factors, strict=False)
    }
    middle = {v: float(np.exp(np.mean(np.log(values)))) for v, values in runs.items()}
    for parameter, factor in zip(law.parameters, factors, strict=False):
        if parameter.log and name in SEPARABLE:
            coefficient = next((c for c in SEPARABLE[name].linear if c.name == parameter.name), None)
            if coefficient is not None and coefficient.variable is not None:
                x = middle[coefficient.variable]
                ratio = coefficient.exponent(base) / coefficient.exponent(drawn)
                drawn[parameter.name] = factor * x * (base[parameter.name] / x) ** ratio
            elif coefficient is not None:
                drawn[parameter.name] = factor * base[parameter.name] * _amplitude_ratio(name, parameter.name, drawn)
    return drawn


def _amplitude_ratio(name: str, parameter: str, drawn: Mapping[str, float]) -> float:
    """Keeps a term's size in the middle of the runs when its exponents are moved."""
    others = {c.name: 0.0 for c in SEPARABLE[name].linear}
    middle = {v: np.exp(np.mean(np.log(values))) for v, values in runs_of(name).items()}
    terms = [
        float(LAWS[name].function(**middle, **(dict(law) | others | {parameter: 1.0})))
        for law in (PLANTED[name], drawn)
    ]
    return terms[0] / terms[1]


def close(fitted: Mapping[str, float], planted: Mapping[str, float], name: str, tolerance: float) -> None:
    for p in LAWS[name].parameters:
        low, high = (np.log(v[p.name]) if p.log else v[p.name] for v in (fitted, planted))
        assert low == pytest.approx(high, rel=tolerance, abs=tolerance), p.name


def test_every_law_has_a_planted_one() -> None:
    assert set(PLANTED) == set(LAWS)
    assert set(SEPARABLE) == set(LAWS) - {"logarithm", "data_constrained"}


@pytest.mark.parametrize("name", sorted(set(PLANTED) - {"hoffmann"}))
def test_noise_free_laws_return_the_truth(name: str) -> None:
    law, runs = LAWS[name], runs_of(name)
    starts = law.start_grid()
    fit = fit_law(law, runs, law.predict(PLANTED[name], runs), starts=starts[:: 1 + len(starts) // 70])
    close(fit.parameters, PLANTED[name], name, 1e-5)
    if name in SEPARABLE:
        assert projection_check(fit)["agrees"]


@pytest.mark.parametrize("name", sorted(SEPARABLE))
def test_projection_returns_the_truth(name: str) -> None:
    law, runs = LAWS[name], runs_of(name)
    fit = fit_projected(law, runs, law.predict(PLANTED[name], runs))
    close(fit.parameters, PLANTED[name], name, 1e-5)
    assert fit.share_at_best > 0.2


@pytest.mark.parametrize("name", sorted(PLANTED))
@settings(max_examples=4, derandomize=True, phases=[Phase.generate])
@given(st.lists(st.floats(0.8, 1.3), min_size=7, max_size=7), st.integers(0, 10**6))
def test_drawn_laws_lie_within_their_intervals(name: str, factors: list[float], seed: int) -> None:
    """The interval of 4.5 standard deviations of the draws: a 90 % one must miss one law in ten."""
    law, runs, planted = LAWS[name], runs_of(name), drawn_law(name, factors)
    noise = NOISE.get(name, 2e-3) * np.random.default_rng(seed).standard_normal(len(next(iter(runs.values()))))
    loss = law.predict(planted, runs) * np.exp(noise)
    objective = Objective("squares")
    around = np.random.default_rng(seed + 1).standard_normal((12, len(law.parameters)))
    grid = law.theta(planted) + 0.1 * around  # laws without a projection: starts around the truth, for speed
    fit = fit_projected(law, runs, loss, objective) if name in SEPARABLE else fit_law(law, runs, loss, objective, grid)
    draws = bootstrap_law(fit, BootstrapOptions(400, seed=seed, method="residuals", starts=1))
    for p in law.parameters:
        width = np.std(np.log(draws.values[p.name]) if p.log else draws.values[p.name])
        moved = fit.theta[law.parameter_names.index(p.name)] - law.theta(planted)[law.parameter_names.index(p.name)]
        assert abs(moved) < 4.5 * width, p.name


def test_laws_that_are_not_separable_are_named() -> None:
    with pytest.raises(ValueError, match="data_constrained is not separable"):
        projected_starts({"N": np.ones(3)}, np.ones(3), "data_constrained")


def test_projection_refuses_one_size() -> None:
    with pytest.raises(FitRefusedError) as caught:
        fit_projected(LAWS["hoffmann"], {"N": np.full(9, 1e6), "D": np.geomspace(1, 9, 9)}, np.linspace(4, 3, 9))
    assert caught.value.code is RefusalCode.SINGLE_VALUE

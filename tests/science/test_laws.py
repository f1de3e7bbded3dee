"""The laws against published values (papers.md F4, F5, F10, F14), and every log form against its function."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.laws import (
    LAWS,
    bnsl,
    broken_power,
    complex_step,
    data_constrained,
    effective_params,
    effective_tokens,
    gadre,
    hoffmann,
    hyperbola,
    kaplan,
    kaplan_steps,
    kaplan_symmetric,
    logarithm,
    optimal_params,
    position,
    power,
    power_offset,
    transfer,
)
from scaling_lab.science.optimum import closed_form_optimum, numerical_optimum
from scaling_lab.science.published import PUBLISHED

TABLE_2, TABLE_3 = PUBLISHED["kaplan"].values, PUBLISHED["kaplan_steps"].values
PRINTED, TEX, EPOCH = (PUBLISHED[name].values for name in ("hoffmann_printed", "hoffmann_tex", "besiroglu"))
REPEATED = PUBLISHED["muennighoff"].values


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_constants_belong_to_their_law(name: str) -> None:
    constants = PUBLISHED[name]
    assert set(constants.values) == set(LAWS[constants.law].parameter_names)
    assert constants.source


@pytest.mark.parametrize(
    ("name", "x", "loss"),
    [
        ("kaplan_params", 393216, 4.311106),
        ("kaplan_params", 3145728, 3.680899),
        ("kaplan_params", 84934656, 2.865301),
        ("kaplan_params", 707788800, 2.438866),
        ("kaplan_params", 1.47456e9, 2.306547),
        ("kaplan_tokens", 21_484_375, 4.055326),
        ("kaplan_tokens", 1e9, 2.815642),
        ("kaplan_tokens", 22e9, 2.099168),
        ("kaplan_compute_naive", PF_DAY, 2.574156),
        ("kaplan_compute", PF_DAY, 2.658080),
        ("kaplan_compute_naive_figure_13", PF_DAY, 2.607106),
        ("kaplan_compute_figure_13", PF_DAY, 2.618704),
    ],
)
def test_one_variable_laws(name: str, x: float, loss: float) -> None:
    assert power(x, **PUBLISHED[name].values) == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "factor"), [("kaplan_params", 0.9486843), ("kaplan_tokens", 0.9362722), ("kaplan_compute", 0.9659363)]
)
def test_doubling_factors(name: str, factor: float) -> None:
    constants = PUBLISHED[name].values
    assert LAWS["power"].derive(constants)["doubling_factor"] == pytest.approx(factor, abs=1e-7)
    assert power(2e9, **constants) / power(1e9, **constants) == pytest.approx(factor, abs=1e-7)


@pytest.mark.parametrize(
    ("n", "losses"),
    [
        (393_216, (4.4528, 4.2274, 4.2129, 4.2083, 4.2080)),
        (3_145_728, (4.1845, 3.6648, 3.6120, 3.5941, 3.5929)),
        (84_934_656, (4.0853, 3.1737, 2.9361, 2.8075, 2.7968)),
        (707_788_800, (4.0769, 3.0887, 2.7376, 2.4215, 2.3805)),
    ],
)
def test_kaplan_surface(n: float, losses: tuple[float, ...]) -> None:
    tokens = np.array([22e9 / 1024, 22e9 / 64, 22e9 / 16, 22e9, np.inf])
    assert kaplan(n, tokens, **TABLE_2) == pytest.approx(losses, abs=6e-5)


@pytest.mark.parametrize(
    ("steps", "loss"),
    [(3e3, 3.6008), (1e4, 3.1437), (3e4, 2.9708), (1e5, 2.8914), (2.5e5, 2.8647), (np.inf, 2.8383)],
)
def test_kaplan_steps(steps: float, loss: float) -> None:
    assert kaplan_steps(84_934_656, steps, **TABLE_3) == pytest.approx(loss, abs=6e-5)


@pytest.mark.parametrize(
    ("constants", "flops", "a", "g", "size", "data", "loss"),
    [
        (PRINTED, 5.76e23, 0.451613, 1.34471, 3.21896e10, 2.98228e12, 1.93075),
        # papers.md prints a = .456532; its own TeX coefficients, .2849083 / (.33917084 + .2849083), give .456526
        (TEX, 5.76e23, 0.456526, 1.30005, 4.03613e10, 2.37852e12, 1.91841),
        (EPOCH, 5.76e23, 0.512612, 0.119634, 7.22491e10, 1.32873e12, 1.97444),
        (PRINTED, 1e21, 0.451613, 1.34471, 1.82422e9, 9.13633e10, 2.32888),
        (TEX, 1e21, 0.456526, 1.30005, 2.21696e9, 7.51780e10, 2.29549),
        (EPOCH, 1e21, 0.512612, 0.119634, 2.77850e9, 5.99845e10, 2.30553),
    ],
    ids=lambda value: f"{value:.3g}" if isinstance(value, float) else "law",
)
def test_closed_form_optimum(
    constants: dict[str, float], flops: float, a: float, g: float, size: float, data: float, loss: float
) -> None:
    best = closed_form_optimum(constants, flops)
    derived = LAWS["hoffmann"].derive(constants)
    assert derived["a"] == pytest.approx(a, abs=1e-6)
    assert derived["a"] + derived["b"] == pytest.approx(1)
    assert derived["G"] == pytest.approx(g, rel=5e-5)
    assert best.params == pytest.approx(size, rel=5e-5)  # the constants are rounded themselves
    assert best.tokens == pytest.approx(data, rel=5e-5)
    assert best.loss == pytest.approx(loss, abs=1e-5)
    assert 6 * best.params * best.tokens == pytest.approx(flops)
    size_slope = constants["alpha"] * constants["A"] / best.params ** constants["alpha"]
    assert size_slope == pytest.approx(constants["beta"] * constants["B"] / best.tokens ** constants["beta"])


@pytest.mark.parametrize(
    ("constants", "per_param", "chinchilla", "gopher", "exponent"),
    [
        (PRINTED, 92.6, 1.93665, 1.99326, 0.1536),
        (TEX, 58.9, 1.92085, 1.96724, 0.1548),
        (EPOCH, 18.4, 1.97388, 1.99961, 0.1783),
    ],
    ids=["printed", "tex", "epoch"],
)
def test_hoffmann_law(
    constants: dict[str, float], per_param: float, chinchilla: float, gopher: float, exponent: float
) -> None:
    best = closed_form_optimum(constants, 5.76e23)
    assert best.tokens / best.params == pytest.approx(per_param, abs=0.06)
    assert hoffmann(70e9, 1.4e12, **constants) == pytest.approx(chinchilla, abs=6e-6)
    assert hoffmann(280e9, 3e11, **constants) == pytest.approx(gopher, abs=6e-6)
    assert LAWS["hoffmann"].derive(constants)["loss_exponent"] == pytest.approx(exponent, abs=6e-5)
    reducible = [float(closed_form_optimum(constants, c).loss) - constants["E"] for c in (1e20, 1e24)]
    assert math.log(reducible[0] / reducible[1]) / math.log(1e4) == pytest.approx(exponent, abs=6e-5)


def test_numerical_optimum_equals_the_closed_form() -> None:
    flops = np.geomspace(1e16, 1e24, 9)
    exact = closed_form_optimum(EPOCH, flops)
    found = numerical_optimum(EPOCH, flops, lambda n: 6 * n, (1e3, 1e14))
    assert np.allclose(found.params, exact.params, rtol=1e-6)
    assert np.allclose(found.loss, exact.loss, rtol=1e-12)
    assert not found.at_edge.any()


def test_numerical_optimum_says_when_it_is_at_the_edge() -> None:
    assert numerical_optimum(EPOCH, 1e24, lambda n: 6 * n, (1e3, 1e6)).at_edge


def test_numerical_optimum_over_draws() -> None:
    draws = {name: np.array([[EPOCH[name]], [TEX[name]]]) for name in EPOCH}
    found = numerical_optimum(draws, np.array([1e20, 1e21, 1e22]), lambda n: 6 * n + 100 * n**0.8, (1e5, 1e13))
    assert found.params.shape == (2, 3)
    alone = numerical_optimum(TEX, 1e21, lambda n: 6 * n + 100 * n**0.8, (1e5, 1e13))
    assert found.params[1, 1] == pytest.approx(float(alone.params), rel=1e-6)


@pytest.mark.parametrize(
    ("epochs", "worth"),
    [(1, 1), (2, 1.968199), (4, 3.725673), (8, 6.624119), (16, 10.582457), (40, 15.167465), (1e9, 16.387756)],
)
def test_worth_of_repeated_tokens(epochs: float, worth: float) -> None:
    assert effective_tokens(7e9 * epochs, 7e9, REPEATED["R_D"]) / 7e9 == pytest.approx(worth, abs=6e-7)


def test_four_epochs_are_nearly_new_data() -> None:
    assert effective_tokens(4.0, 1.0, REPEATED["R_D"]) / 4 == pytest.approx(0.931, abs=5e-4)


@pytest.mark.parametrize(("unique", "loss"), [(20e9, 2.564635), (5e9, 2.597458), (1e9, 2.810442)])
def test_data_constrained_loss(unique: float, loss: float) -> None:
    assert data_constrained(1e9, 20e9, unique, **REPEATED) == pytest.approx(loss, abs=1e-6)


def test_unique_tokens_are_no_more_than_those_seen() -> None:
    """U_D = min(U, D) in both terms: what was never seen makes no parameter useful."""
    assert data_constrained(1e12, 1e9, 1e11, **REPEATED) == data_constrained(1e12, 1e9, 1e9, **REPEATED)
    assert data_constrained(1e12, 1e9, 1e11, **REPEATED) > hoffmann(
        1e12, 1e9, *(REPEATED[name] for name in ("E", "A", "B", "alpha", "beta"))
    )


def test_useful_params_of_unique_tokens() -> None:
    base = {name: REPEATED[name] for name in ("A", "B", "alpha", "beta")}
    assert optimal_params(1.0, **base) == pytest.approx(0.05098652, abs=1e-8)
    assert optimal_params(3e9, **base) == pytest.approx(0.05098652 * 3e9, rel=1e-6)
    best = closed_form_optimum(EPOCH, 1e21)  # the general case, alpha != beta, through the closed form
    chosen = {name: EPOCH[name] for name in base}
    assert optimal_params(best.tokens, **chosen) == pytest.approx(float(best.params), rel=1e-9)


@given(st.floats(1e5, 1e12), st.floats(1e6, 1e13), st.floats(1, 1e3))
def test_unique_data_and_small_models_are_worth_themselves(n: float, d: float, more: float) -> None:
    assert effective_tokens(d, d * more, 15.0) == pytest.approx(d)
    assert effective_params(n, n * more, 5.0) == pytest.approx(n)
    assert effective_params(n * more, n, 5.0) <= n * 6 * (1 + 1e-12)
    base = {name: REPEATED[name] for name in ("E", "A", "B", "alpha", "beta")}
    small = min(n, float(optimal_params(d, *(base[k] for k in ("A", "B", "alpha", "beta")))))
    assert data_constrained(small, d, d * more, **REPEATED) == pytest.approx(hoffmann(small, d, **base))


def test_effective_data_transferred() -> None:
    constants = PUBLISHED["hernandez"].values
    assert transfer(1e6, 1e8, **constants) == pytest.approx(2.504688e8, rel=1e-6)
    assert transfer(1e7, 1e9, **constants) == pytest.approx(9.093972e8, rel=1e-6)


def test_figure_23_logarithm() -> None:
    constants = PUBLISHED["kaplan_logarithm"].values
    assert logarithm(7.1e12, **constants) == 0
    assert logarithm(1e9, **constants) == pytest.approx(-0.25 * math.log(1e9 / 7.1e12))
    assert logarithm(1e6, **constants) - logarithm(1e8, **constants) == pytest.approx(0.25 * math.log(100))


exponents = st.floats(0.05, 0.9)


@given(st.floats(1e4, 1e10), exponents, exponents, exponents)
def test_kaplan_forms_have_their_limits(n: float, alpha: float, data: float, beta: float) -> None:
    assert kaplan(n, np.inf, 1e13, 1e13, alpha, data) == pytest.approx(power(n, 1e13, alpha))
    assert kaplan(np.inf, n, 1e13, 1e13, alpha, data) == pytest.approx(power(n, 1e13, data))
    assert kaplan_symmetric(n, np.inf, 1e13, 1e12, alpha, data, beta) == pytest.approx(power(n, 1e13, alpha * beta))
    assert kaplan_symmetric(np.inf, n, 1e13, 1e12, alpha, data, beta) == pytest.approx(power(n, 1e12, data * beta))
    assert kaplan_steps(np.inf, n, 1e13, 1e12, alpha, data) == pytest.approx(power(n, 1e12, data))


def test_only_kaplans_form_has_an_expansion_in_inverse_data() -> None:
    """Its excess halves with every doubling of large D; that of the symmetric form falls with D^-alpha_D."""
    d = np.array([1e13, 2e13])
    excess = kaplan(1e7, d, **TABLE_2) - power(1e7, TABLE_2["Nc"], TABLE_2["alpha_N"])
    assert excess[0] / excess[1] == pytest.approx(2, rel=1e-3)
    form = {"Nc": 1e13, "Dc": 1e3, "alpha_N": 0.3, "alpha_D": 0.4, "beta": 0.3}
    excess = kaplan_symmetric(1e7, d, **form) - kaplan_symmetric(1e7, np.inf, **form)
    assert excess[0] / excess[1] == pytest.approx(2**0.4, rel=1e-3)


@given(st.floats(0, 3), st.floats(0.1, 1e3), st.floats(0.1, 1e3), exponents, st.floats(1e5, 1e10), st.floats(1, 1e4))
def test_gadre_is_hoffmann_with_equal_exponents(
    E: float, A: float, B: float, alpha: float, n: float, ratio: float
) -> None:
    eta, d = alpha / 2, n * ratio
    mine = gadre(n, d, E, A * 6**eta, B * 6**eta, eta)
    assert mine == pytest.approx(hoffmann(n, d, E, A, B, alpha, alpha))
    back = LAWS["gadre"].derive({"E": E, "a": A * 6**eta, "b": B * 6**eta, "eta": eta})
    assert (back["A"], back["B"], back["alpha"]) == pytest.approx((A, B, alpha))


def test_gadre_at_a_fixed_ratio_is_a_power_of_compute() -> None:
    n = np.array([1e7, 1e8])
    d, form = 640 * n, {"E": 1.8, "a": 90.0, "b": 120.0, "eta": 0.121}
    reducible = gadre(n, d, **form) - 1.8
    assert reducible[0] / reducible[1] == pytest.approx(100**0.121)
    assert reducible[0] == pytest.approx((90 * 640**0.121 + 120 * 640**-0.121) * (6 * n[0] * d[0]) ** -0.121)


def test_a_broken_power_bends_at_its_break() -> None:
    form = {"E": 0.0, "b": 50.0, "c0": 0.1, "c1": 0.25, "d1": 1e8, "f1": 0.2}
    early, late = np.array([1e3, 1e4]), np.array([1e13, 1e14])
    assert -np.diff(np.log(bnsl(early, **form))) / np.log(10) == pytest.approx(0.1, abs=1e-6)
    assert -np.diff(np.log(bnsl(late, **form))) / np.log(10) == pytest.approx(0.35, abs=1e-6)
    assert bnsl(1e8, **form) == pytest.approx(50 * 1e8**-0.1 * 2 ** (-0.25 * 0.2))
    assert broken_power(1e8, 1.5, 50.0, 0.1, []) == pytest.approx(power_offset(1e8, 1.5, 50.0**10, 0.1))
    twice = broken_power(1e30, 0.0, 1.0, 0.1, [(0.2, 1e5, 0.1), (0.3, 1e9, 0.1)])
    assert math.log(twice) == pytest.approx(-0.6 * 30 * math.log(10) + 0.2 * math.log(1e5) + 0.3 * math.log(1e9))


def test_loss_by_position() -> None:
    assert position(1.0, 2.3, 5.4, 0.62) == pytest.approx(7.7)
    assert position(100.0, 2.3, 5.4, 0.5) == pytest.approx(2.84)
    assert position(1e12, 2.3, 5.4, 0.62) == pytest.approx(2.3, abs=1e-6)


def test_offset_is_the_limit() -> None:
    assert power_offset(1e300, 1.7, 1e8, 0.1) == pytest.approx(1.7)
    assert power_offset(1e8, 1.7, 1e8, 0.1) == pytest.approx(2.7)


@given(st.floats(10, 1e5), st.floats(1e6, 1e10), st.floats(1e2, 1e9))
def test_steps_and_examples_lie_on_the_hyperbola(s_min: float, e_min: float, batch: float) -> None:
    steps = hyperbola(batch, s_min, e_min)
    assert (steps / s_min - 1) * (batch * steps / e_min - 1) == pytest.approx(1, rel=1e-6)
    assert hyperbola(e_min / s_min, s_min, e_min) == pytest.approx(2 * s_min)


MODERATE = {
    "Nc": (20, 40), "Dc": (20, 40), "Xc": (28, 40), "A": (0, 10), "B": (0, 10), "E": (0.1, 3), "Sc": (2, 12),
    "b": (0, 10), "a": (0, 10), "d1": (8, 22), "R_N": (0.5, 3), "R_D": (0.5, 3), "E_T": (0.1, 3), "k": (-2, 2),
    "S_min": (2, 10), "E_min": (10, 25), "B_star": (10, 20), "alpha": (0.25, 0.8), "beta": (0.25, 0.8),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(LAWS))
@settings(max_examples=25)
@given(data=st.data())
def test_log_form_is_the_function_and_its_derivative(name: str, data: st.DataObject) -> None:
    """Against the complex step where the derivatives are written out, and against differences for all."""
    law = LAWS[name]
    theta = np.array(
        [[data.draw(st.floats(*MODERATE.get(p.name, (0.1, 0.8)))) for p in law.parameters] for _ in range(3)]
    )
    ends = {"L": (0.5, 2.5), "U": (6, 24), "D": (7, 20)}  # crossing, but at no point: a minimum of equals
    logs = {v: np.linspace(*ends.get(v, (5, 25)), 7) for v in law.variables}
    value, jacobian = law.log_prediction(theta, logs)
    reference, exact = complex_step(law, theta, logs)
    assert np.allclose(value, reference, rtol=1e-10, atol=1e-10)
    assert np.allclose(jacobian, exact, rtol=1e-7, atol=1e-9)

    def predicted(at: np.ndarray) -> np.ndarray:
        parameters = {key: values[:, None] for key, values in law.natural(at).items()}
        return np.log(law.predict(parameters, {v: np.exp(x) for v, x in logs.items()}))

    assert np.allclose(value, predicted(theta))
    for j in range(theta.shape[1]):
        step = np.zeros(theta.shape[1])
        step[j] = 1e-5
        difference = (predicted(theta + step) - predicted(theta - step)) / 2e-5
        assert np.allclose(jacobian[:, j], difference, rtol=1e-4, atol=1e-5)


def test_a_law_that_predicts_nothing_positive_gives_nan() -> None:
    law = LAWS["logarithm"]
    value, jacobian = law.log_prediction(np.array([[np.log(1e9), 0.0]]), {"X": np.log([1e8, 1e10])})
    assert np.isfinite(value[0, 0])
    assert np.isnan(value[0, 1])
    assert np.isnan(jacobian[0, :, 1]).all()


@pytest.mark.parametrize("name", sorted(LAWS))
def test_docstring_is_the_equation(name: str) -> None:
    law = LAWS[name]
    assert law.name == name
    assert law.function.__doc__ == f"{law.equation}."
    assert set(law.parameter_names) | set(law.variables) == set(law.function.__code__.co_varnames)
    assert law.offset in (None, *law.parameter_names)
    grid = law.start_grid()
    assert len(grid) <= 4500
    assert ((grid >= law.lower) & (grid <= law.upper)).all()


@pytest.mark.parametrize("half_life", [1e3, 1e9, 1e17])
def test_data_that_hardly_fades_is_worth_what_was_read(half_life: float) -> None:
    """R_D to infinity is D' = D. A difference of exponentials would lose all digits there and make a false optimum."""
    assert effective_tokens(4e9, 1e9, half_life) == pytest.approx(4e9, rel=3 / half_life + 1e-12)
    law = LAWS["data_constrained"]
    theta = law.theta({"E": 1.7, "A": 400, "B": 1400, "alpha": 0.35, "beta": 0.35, "R_N": 5.0, "R_D": half_life})
    logs = {name: np.log([value]) for name, value in {"N": 1e7, "D": 4e9, "U": 1e9}.items()}
    found, _ = law.log_prediction(theta[None, :], logs)
    expected = law.predict(law.natural(theta), {name: np.exp(value) for name, value in logs.items()})
    assert found[0] == pytest.approx(np.log(expected), rel=1e-9)

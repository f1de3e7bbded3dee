"""The laws against published values (papers.md F4, F5, F10), and every log form against its function."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.laws import LAWS, complex_step, kaplan, power
from scaling_lab.science.optimum import closed_form_optimum, numerical_optimum

TABLE_2 = {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}
PRINTED = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
TEX = {
    "E": np.exp(0.5267228),
    "A": np.exp(6.0073404),
    "B": np.exp(6.0179186),
    "alpha": 0.33917084,
    "beta": 0.2849083,
}
EPOCH = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}


@pytest.mark.parametrize(
    ("x", "scale", "alpha", "loss"),
    [
        (393216, 8.8e13, 0.076, 4.311106),
        (84934656, 8.8e13, 0.076, 2.865301),
        (1.47456e9, 8.8e13, 0.076, 2.306547),
        (21_484_375, 5.4e13, 0.095, 4.055326),
        (22e9, 5.4e13, 0.095, 2.099168),
        (PF_DAY, 1.6e7 * PF_DAY, 0.057, 2.574156),
        (PF_DAY, 3.1e8 * PF_DAY, 0.050, 2.658080),
    ],
)
def test_one_variable_laws(x: float, scale: float, alpha: float, loss: float) -> None:
    assert power(x, scale, alpha) == pytest.approx(loss, abs=1e-6)


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
    ("constants", "flops", "a", "size", "data", "loss"),
    [
        (PRINTED, 5.76e23, 0.451613, 3.21896e10, 2.98228e12, 1.93075),
        (TEX, 5.76e23, 0.456526, 4.03613e10, 2.37852e12, 1.91841),
        (EPOCH, 5.76e23, 0.512612, 7.22491e10, 1.32873e12, 1.97444),
        (PRINTED, 1e21, 0.451613, 1.82422e9, 9.13633e10, 2.32888),
        (TEX, 1e21, 0.456526, 2.21696e9, 7.51780e10, 2.29549),
        (EPOCH, 1e21, 0.512612, 2.77850e9, 5.99845e10, 2.30553),
    ],
)
def test_closed_form_optimum(
    constants: dict[str, float], flops: float, a: float, size: float, data: float, loss: float
) -> None:
    best = closed_form_optimum(constants, flops)
    assert LAWS["hoffmann"].derive(constants)["a"] == pytest.approx(a, abs=1e-6)
    assert best.params == pytest.approx(size, rel=5e-5)  # the constants are rounded themselves
    assert best.tokens == pytest.approx(data, rel=5e-5)
    assert best.loss == pytest.approx(loss, abs=1e-5)
    size_slope = constants["alpha"] * constants["A"] / best.params ** constants["alpha"]
    assert size_slope == pytest.approx(constants["beta"] * constants["B"] / best.tokens ** constants["beta"])


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


@pytest.mark.parametrize("name", sorted(LAWS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_log_form_is_the_function_and_its_derivative(name: str, data: st.DataObject) -> None:
    law = LAWS[name]
    moderate = {"Nc": (20, 40), "Dc": (20, 40), "Xc": (20, 40), "A": (0, 10), "B": (0, 10), "E": (0.1, 3)}
    theta = np.array(
        [[data.draw(st.floats(*moderate.get(p.name, (0.1, 0.8)))) for p in law.parameters] for _ in range(3)]
    )
    logs = {v: np.linspace(5, 25, 7) for v in law.variables}
    value, jacobian = law.log_prediction(theta, logs)
    reference, exact = complex_step(law, theta, logs)
    assert np.allclose(value, reference, rtol=1e-10, atol=1e-10)
    assert np.allclose(jacobian, exact, rtol=1e-7, atol=1e-9)
    parameters = {key: values[:, None] for key, values in law.natural(theta).items()}
    assert np.allclose(value, np.log(law.predict(parameters, {v: np.exp(x) for v, x in logs.items()})))


@pytest.mark.parametrize("name", sorted(LAWS))
def test_docstring_is_the_equation(name: str) -> None:
    law = LAWS[name]
    assert law.function.__doc__ == f"{law.equation}."
    assert set(law.parameter_names) | set(law.variables) == set(law.function.__code__.co_varnames)

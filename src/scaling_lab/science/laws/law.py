"""What the engine needs to know of a law: its function, its parameters with bounds and starts, its derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LogForm = Callable[[Array, Mapping[str, Array]], tuple[Array, Array]]
"""(theta [S, P], log variables [n] each) -> log prediction [S, n] and its Jacobian [S, P, n]."""

_STEP = 1e-200  # of the complex step: so small that its square vanishes, hence no truncation error


@dataclass(frozen=True)
class Parameter:
    """A fitted number: `bounds` and `starts` are in the fitted scale, the logarithm when `log`."""

    name: str
    meaning: str
    log: bool
    bounds: tuple[float, float]
    starts: tuple[float, ...]


@dataclass(frozen=True)
class Law:
    """A law and all the engine needs to fit it.

    `offset` names the parameter that is an irreducible loss, if any; `response` is what the law predicts.
    """

    name: str
    equation: str
    source: str
    variables: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    function: Callable[..., Any]
    log_form: LogForm | None = None
    derived: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    offset: str | None = None
    response: str = "loss, nats per token"

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names in the order of the columns of theta."""
        return tuple(parameter.name for parameter in self.parameters)

    def predict(self, parameters: Mapping[str, Any], variables: Mapping[str, Any]) -> Array:
        """The response; parameters and variables broadcast, e.g. draws [S, 1] against runs [n]."""
        chosen = {name: parameters[name] for name in self.parameter_names}
        return np.asarray(self.function(**variables, **chosen), dtype=np.float64)

    def natural(self, theta: Any) -> dict[str, Any]:
        """Fitted scale [..., P] -> named parameters [...]."""
        with np.errstate(over="ignore"):
            return {p.name: np.exp(theta[..., j]) if p.log else theta[..., j] for j, p in enumerate(self.parameters)}

    def theta(self, parameters: Mapping[str, float]) -> Array:
        """Named parameters -> fitted scale [P]."""
        return np.array([np.log(parameters[p.name]) if p.log else parameters[p.name] for p in self.parameters])

    def log_prediction(self, theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
        """Log response [S, n] and its Jacobian [S, P, n] in the fitted scale, at the logarithms of the variables."""
        return self.log_form(theta, logs) if self.log_form else complex_step(self, theta, logs)

    def derive(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The derived quantities of one parameter set, or of arrays of draws."""
        return {name: function(parameters) for name, function in self.derived.items()}

    def start_grid(self) -> Array:
        """Every combination of the parameters' starts, [S, P] in the fitted scale."""
        return np.array(list(product(*(p.starts for p in self.parameters))), dtype=np.float64)

    @property
    def lower(self) -> Array:
        """Lower bounds [P] in the fitted scale."""
        return np.array([p.bounds[0] for p in self.parameters])

    @property
    def upper(self) -> Array:
        """Upper bounds [P] in the fitted scale."""
        return np.array([p.bounds[1] for p in self.parameters])


def complex_step(law: Law, theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    """Log prediction and Jacobian of a law from its function alone, exact to rounding (Squire and Trapp 1998).

    Where the law predicts nothing positive, both are NaN, which the engine never accepts.
    """
    variables = {name: np.exp(values) for name, values in logs.items()}
    columns: list[Array] = []
    value = np.empty(0)
    for j in range(theta.shape[1]):
        moved = theta.astype(np.complex128)
        moved[:, j] += _STEP * 1j
        parameters = {name: values[:, None] for name, values in law.natural(moved).items()}
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            response = law.function(**variables, **parameters)
            result = np.log(np.where(response.real > 0, response, np.nan))
        columns.append(result.imag / _STEP)
        value = result.real
    return value, np.stack(columns, axis=1)


def exponent(name: str, meaning: str, starts: tuple[float, ...]) -> Parameter:
    """A positive exponent."""
    return Parameter(name, meaning, False, (1e-3, 10.0), starts)


def log_exponent(name: str, meaning: str, starts: tuple[float, ...]) -> Parameter:
    """A positive exponent fitted in its logarithm, for laws in which products of exponents are what the runs tell."""
    return Parameter(name, meaning, True, (float(np.log(1e-3)), float(np.log(10.0))), tuple(map(float, np.log(starts))))


def scale(name: str, meaning: str, starts: tuple[float, ...] = (5.0, 15.0, 25.0, 35.0, 50.0)) -> Parameter:
    """A positive number of unknown magnitude, fitted in its logarithm."""
    return Parameter(name, meaning, True, (-100.0, 400.0), starts)


def amplitude(name: str, meaning: str, starts: tuple[float, ...]) -> Parameter:
    """A term's size where its variable is 1, fitted in its logarithm."""
    return Parameter(name, meaning, True, (-50.0, 100.0), starts)


def offset(name: str = "E", logs: tuple[float, ...] = (-1, -0.5, 0, 0.5, 1)) -> Parameter:
    """An irreducible loss; `logs` are the logarithms of its starts."""
    return Parameter(name, "irreducible loss, nats", False, (0.0, 100.0), tuple(float(np.exp(e)) for e in logs))


def log_sum(first: Array, second: Array) -> tuple[Array, Array]:
    """log(e^first + e^second) for numbers of any size, and the share of the first: `np.logaddexp`, six times faster."""
    behind = -np.abs(second - first)
    smaller = np.exp(behind, out=behind)
    share = np.where(first > second, 1.0, smaller) / (1 + smaller)
    return np.maximum(first, second) + np.log(1 + smaller), share


def offset_and_terms(constant: Array, first: Array, second: Array) -> tuple[Array, Array, Array, Array]:
    """log(constant + e^first + e^second), and over that sum: 1 and each term.

    Without the shift that would spare overflow: no term leaves the range of a float inside the bounds of `amplitude`
    and `exponent`, for variables from 1e-26 to 1e28.
    """
    first, second = np.exp(first), np.exp(second)
    total = constant + first
    total += second
    inverse = 1 / total
    first *= inverse
    second *= inverse
    return np.log(total), inverse, first, second

"""The scaling laws, each one vectorised function whose docstring is its equation, and the registry that names them.

A new law is one function, one `Law(...)` entry and a test. Letters are the papers': N parameters, D tokens, C FLOPs,
each by the convention that the caller chose; L is nats per token.

The engine fits a law in the logarithm of the loss and in the parameters' fitted scale (logarithm for scales). A law
without a `log_form` gets exact derivatives from the complex step; the laws of today have theirs written out, for speed,
and a test holds every `log_form` to the function it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LogForm = Callable[[Array, Mapping[str, Array]], tuple[Array, Array]]
"""(theta [S, P], log variables [n] each) -> log prediction [S, n] and its Jacobian [S, n, P]."""

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
    """A law and all the engine needs to fit it. `offset` names the parameter that is an irreducible loss, if any."""

    name: str
    equation: str
    source: str
    variables: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    function: Callable[..., Any]
    log_form: LogForm | None = None
    derived: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    offset: str | None = None

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names in the order of the columns of theta."""
        return tuple(parameter.name for parameter in self.parameters)

    def predict(self, parameters: Mapping[str, Any], variables: Mapping[str, Any]) -> Array:
        """Loss in nats; parameters and variables broadcast, e.g. draws [S, 1] against runs [n]."""
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
        """Log loss [S, n] and its Jacobian [S, n, P] in the fitted scale, at the logarithms of the variables."""
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
    """Log prediction and Jacobian of a law from its function alone, exact to rounding (Squire and Trapp 1998)."""
    variables = {name: np.exp(values) for name, values in logs.items()}
    columns: list[Array] = []
    value = np.empty(0)
    for j in range(theta.shape[1]):
        moved = theta.astype(np.complex128)
        moved[:, j] += _STEP * 1j
        parameters = {name: values[:, None] for name, values in law.natural(moved).items()}
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            result = np.log(law.function(**variables, **parameters))
        columns.append(result.imag / _STEP)
        value = result.real
    return value, np.stack(columns, axis=-1)


def power(X: Any, Xc: Any, alpha: Any) -> Any:
    """L = (Xc / X)^alpha."""
    return (Xc / X) ** alpha


def power_offset(X: Any, E: Any, Xc: Any, alpha: Any) -> Any:
    """L = E + (Xc / X)^alpha."""
    return E + (Xc / X) ** alpha


def kaplan(N: Any, D: Any, Nc: Any, Dc: Any, alpha_N: Any, alpha_D: Any) -> Any:
    """L = [(Nc / N)^(alpha_N / alpha_D) + Dc / D]^alpha_D."""
    return ((Nc / N) ** (alpha_N / alpha_D) + Dc / D) ** alpha_D


def hoffmann(N: Any, D: Any, E: Any, A: Any, B: Any, alpha: Any, beta: Any) -> Any:
    """L = E + A / N^alpha + B / D^beta."""
    return E + A / N**alpha + B / D**beta


def _power_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    scale, alpha = theta[:, 0:1], theta[:, 1:2]
    distance = scale - logs["X"]
    return alpha * distance, np.stack([np.broadcast_to(alpha, distance.shape), distance], axis=-1)


def _power_offset_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    offset, scale, alpha = theta[:, 0:1], theta[:, 1:2], theta[:, 2:3]
    distance = scale - logs["X"]
    value = np.logaddexp(_log0(offset), alpha * distance)
    share = np.exp(alpha * distance - value)
    return value, np.stack([np.exp(-value), share * alpha, share * distance], axis=-1)


def _kaplan_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    scale_n, scale_d, alpha_n, alpha_d = (theta[:, j : j + 1] for j in range(4))
    distance = scale_n - logs["N"]
    from_size, from_data = alpha_n / alpha_d * distance, scale_d - logs["D"]
    total = np.logaddexp(from_size, from_data)
    share = np.exp(from_size - total)
    jacobian = [share * alpha_n, (1 - share) * alpha_d, share * distance, total - share * from_size]
    return alpha_d * total, np.stack(jacobian, axis=-1)


def _hoffmann_log(theta: Array, logs: Mapping[str, Array]) -> tuple[Array, Array]:
    offset, log_a, log_b, alpha, beta = (theta[:, j : j + 1] for j in range(5))
    size, data = log_a - alpha * logs["N"], log_b - beta * logs["D"]
    value = np.logaddexp(np.logaddexp(size, data), _log0(offset))
    of_size, of_data = np.exp(size - value), np.exp(data - value)
    jacobian = [np.exp(-value), of_size, of_data, -of_size * logs["N"], -of_data * logs["D"]]
    return value, np.stack(jacobian, axis=-1)


def _log0(offset: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(offset))


def _exponent(name: str, meaning: str, starts: tuple[float, ...]) -> Parameter:
    return Parameter(name, meaning, False, (1e-3, 10.0), starts)


def _scale(name: str, meaning: str) -> Parameter:
    return Parameter(name, meaning, True, (-100.0, 400.0), (5.0, 15.0, 25.0, 35.0, 50.0))


_OFFSET = Parameter(
    "E", "irreducible loss, nats", False, (0.0, 100.0), tuple(float(np.exp(e)) for e in (-1, -0.5, 0, 0.5, 1))
)
_AMPLITUDE_STARTS = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
_HOFFMANN_EXPONENTS = (1e-3, 0.5, 1.0, 1.5, 2.0)  # the published 0 is the lower bound here

_LAWS = (
    Law(
        name="power",
        equation="L = (Xc / X)^alpha",
        source="Kaplan et al. 2020, Eq 1.1 to 1.3",
        variables=("X",),
        parameters=(
            _scale("Xc", "X at which the loss would be 1 nat"),
            _exponent("alpha", "exponent", (0.02, 0.05, 0.1, 0.2, 0.4)),
        ),
        function=power,
        log_form=_power_log,
        derived={"doubling_factor": lambda p: 2.0 ** -p["alpha"]},
    ),
    Law(
        name="power_offset",
        equation="L = E + (Xc / X)^alpha",
        source="Henighan et al. 2020, Eq 1.1",
        variables=("X",),
        parameters=(
            _OFFSET,
            _scale("Xc", "X at which the reducible loss would be 1 nat"),
            _exponent("alpha", "exponent of the reducible loss", (0.05, 0.1, 0.2, 0.4, 0.8)),
        ),
        function=power_offset,
        log_form=_power_offset_log,
        offset="E",
    ),
    Law(
        name="kaplan",
        equation="L = [(Nc / N)^(alpha_N / alpha_D) + Dc / D]^alpha_D",
        source="Kaplan et al. 2020, Eq 1.5",
        variables=("N", "D"),
        parameters=(
            _scale("Nc", "scale of N"),
            _scale("Dc", "scale of D, tokens"),
            _exponent("alpha_N", "exponent of N for unlimited data", (0.03, 0.08, 0.15, 0.3)),
            _exponent("alpha_D", "exponent of D for unlimited size", (0.03, 0.08, 0.15, 0.3)),
        ),
        function=kaplan,
        log_form=_kaplan_log,
        derived={"overfitting_exponent": lambda p: p["alpha_N"] / p["alpha_D"]},
    ),
    Law(
        name="hoffmann",
        equation="L = E + A / N^alpha + B / D^beta",
        source="Hoffmann et al. 2022, Eq 2 and appendix D.3",
        variables=("N", "D"),
        parameters=(
            _OFFSET,
            Parameter("A", "size term at N = 1, nats", True, (-50.0, 100.0), _AMPLITUDE_STARTS),
            Parameter("B", "data term at D = 1, nats", True, (-50.0, 100.0), _AMPLITUDE_STARTS),
            _exponent("alpha", "exponent of N", _HOFFMANN_EXPONENTS),
            _exponent("beta", "exponent of D", _HOFFMANN_EXPONENTS),
        ),
        function=hoffmann,
        log_form=_hoffmann_log,
        derived={
            "a": lambda p: p["beta"] / (p["alpha"] + p["beta"]),
            "b": lambda p: p["alpha"] / (p["alpha"] + p["beta"]),
            "G": lambda p: (p["alpha"] * p["A"] / (p["beta"] * p["B"])) ** (1 / (p["alpha"] + p["beta"])),
            "loss_exponent": lambda p: p["alpha"] * p["beta"] / (p["alpha"] + p["beta"]),
        },
        offset="E",
    ),
)

LAWS: Mapping[str, Law] = {law.name: law for law in _LAWS}
"""Every law by name."""

"""What a fit may be asked to do differently."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, get_args

from scaling_lab.errors import ConfigError
from scaling_lab.science.accounting import FlopsConvention, ParamsConvention
from scaling_lab.science.bootstrap import BootstrapOptions
from scaling_lab.science.fitting import Objective, ObjectiveName


@dataclass(frozen=True)
class FitOptions:
    """Options of every fit; JSON-able. `delta` is Huber's, in log loss; `bootstrap` the number of resamples."""

    loss_column: str = "test_loss_nats"
    params_convention: ParamsConvention = "params_non_embedding"
    flops_convention: FlopsConvention = "matmul"
    objective: ObjectiveName = "huber"
    delta: float = 1e-3
    bootstrap: int = 500
    level: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("params_convention", self.params_convention, get_args(ParamsConvention))
        _one_of("flops_convention", self.flops_convention, get_args(FlopsConvention))
        _one_of("objective", self.objective, get_args(ObjectiveName))
        if not self.delta > 0:
            raise ConfigError(f"fit option delta is {self.delta}; allowed: above 0")
        if not 0 < self.level < 1:
            raise ConfigError(f"fit option level is {self.level}; allowed: between 0 and 1")
        if self.bootstrap < 20:
            raise ConfigError(f"fit option bootstrap is {self.bootstrap}; allowed: 20 or more resamples")

    @property
    def fitting_objective(self) -> Objective:
        """The objective for the engine."""
        return Objective(self.objective, self.delta)

    @property
    def resampling(self) -> BootstrapOptions:
        """The bootstrap's options."""
        return BootstrapOptions(self.bootstrap, self.level, self.seed)

    @property
    def flops_column(self) -> str:
        """Column of a run's training FLOPs."""
        return f"flops_{self.flops_convention}"

    @property
    def flops_per_token_column(self) -> str:
        """Column of training FLOPs per token."""
        return f"flops_per_token_{self.flops_convention}"

    def as_json(self) -> dict[str, Any]:
        """All options by name."""
        return asdict(self)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"fit option {name} is {value!r}; allowed: {', '.join(allowed)}")

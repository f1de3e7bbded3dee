"""What a fit may be asked to do differently: the `fit` section of a study, with what the engine makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scaling_lab.config import FitConfig
from scaling_lab.science.bootstrap import BootstrapOptions
from scaling_lab.science.fitting import Objective


class FitOptions(FitConfig):
    """Options of every fit; JSON-able. `delta` is Huber's, in log loss; `bootstrap` the number of resamples."""

    @property
    def fitting_objective(self) -> Objective:
        """The objective for the engine."""
        return Objective(self.objective, self.delta)

    @property
    def resampling(self) -> BootstrapOptions:
        """The bootstrap's options where laws are taken for exact: of what is compared with published intervals."""
        return BootstrapOptions(self.bootstrap, self.level, self.seed)

    @property
    def departing(self) -> BootstrapOptions:
        """The bootstrap's options where losses depart from their law: of decisions and predictions."""
        return replace(self.resampling, departure=self.departure)

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
        return self.model_dump(mode="json")

"""The optimizer of a run: parameter groups by decay and by the factors of the parametrization."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from scaling_lab.spec import OptimizerSpec
from scaling_lab.training.models.base import Factors, TokenModel


def build_optimizer(model: nn.Module, spec: OptimizerSpec) -> torch.optim.Optimizer:
    """AdamW, or Adafactor with the settings of Shazeer and Stern 2018 (factored second moments, no first moment)."""
    groups = parameter_groups(model, spec)
    if spec.name == "adafactor":
        return torch.optim.Adafactor(groups, lr=spec.learning_rate)
    return torch.optim.AdamW(groups, lr=spec.learning_rate, betas=(spec.beta1, spec.beta2), fused=True)


def parameter_groups(model: nn.Module, spec: OptimizerSpec) -> list[dict[str, Any]]:
    """Trainable parameters by decay (matrices only) and by what the parametrization multiplies their settings by.

    Matrices come first. A module that is no `TokenModel` has no parametrization.
    """
    groups: dict[tuple[bool, Factors], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        factors = model.optimizer_factors(name) if isinstance(model, TokenModel) else Factors()
        groups.setdefault((parameter.dim() < 2, factors), []).append(parameter)
    ordered = sorted(groups.items(), key=lambda item: item[0])
    return [_group(spec, members, is_vector, factors) for (is_vector, factors), members in ordered]


def _group(spec: OptimizerSpec, members: Iterable[nn.Parameter], is_vector: bool, factors: Factors) -> dict[str, Any]:
    decay = 0.0 if is_vector else spec.weight_decay * factors.decay
    group = {"params": list(members), "weight_decay": decay, "rate_factor": factors.rate}
    # Adafactor has two epsilons of another meaning.
    return group | ({"eps": spec.epsilon * factors.epsilon} if spec.name == "adamw" else {})


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the rate times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_factor"]

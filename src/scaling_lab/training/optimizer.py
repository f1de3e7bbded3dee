"""The optimizer of a run: parameter groups by decay and by rate factor."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from scaling_lab.spec import OptimizerSpec


def build_optimizer(model: nn.Module, spec: OptimizerSpec) -> torch.optim.Optimizer:
    """AdamW, or Adafactor with the settings of Shazeer and Stern 2018 (factored second moments, no first moment)."""
    groups = parameter_groups(model, spec.weight_decay)
    if spec.name == "adafactor":
        return torch.optim.Adafactor(groups, lr=spec.learning_rate)
    betas = (spec.beta1, spec.beta2)
    return torch.optim.AdamW(groups, lr=spec.learning_rate, betas=betas, eps=spec.epsilon, fused=True)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters by decay (matrices only) and by `rate_factor`, matrices first.

    A model whose layers learn at different rates, as in muP, offers `learning_rate_factors`: factors of the rate by
    name of the parameter, 1 where it names none.
    """
    factors: Mapping[str, float] = getattr(model, "learning_rate_factors", {})
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault((parameter.dim() < 2, factors.get(name, 1.0)), []).append(parameter)
    return [
        {"params": members, "weight_decay": 0.0 if is_vector else weight_decay, "rate_factor": factor}
        for (is_vector, factor), members in sorted(groups.items(), key=lambda item: item[0])
    ]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the rate times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_factor"]

import pytest
import torch
from pydantic import ValidationError
from tests.conftest import run_spec
from torch import nn

from scaling_lab.spec import OptimizerSpec
from scaling_lab.training.models import build_model
from scaling_lab.training.optimizer import build_optimizer, parameter_groups, set_learning_rate


@pytest.fixture
def model() -> nn.Module:
    return build_model(run_spec().architecture)


def test_matrices_decay_and_vectors_do_not(model: nn.Module) -> None:
    matrices, vectors = parameter_groups(model, OptimizerSpec(learning_rate=0.01, weight_decay=0.1))
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0.0)
    assert {p.dim() for p in matrices["params"]} == {2}
    assert {p.dim() for p in vectors["params"]} == {1}
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(model.parameters()))


def test_mup_slows_hidden_matrices_by_the_multiple_of_the_width() -> None:
    spec = run_spec(architecture__parametrization="mup", architecture__base_width=4)
    model = build_model(spec.architecture)
    optimizer = build_optimizer(model, OptimizerSpec(learning_rate=0.01))
    set_learning_rate(optimizer, 0.008)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    hidden = {name for name, p in model.named_parameters() if name.startswith("blocks") and p.dim() == 2}
    assert len(hidden) == 4
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == (0.002 if name in hidden else 0.008)


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_a_step_decays_a_matrix_without_gradient_and_moves_one_with(name: str) -> None:
    model = nn.Linear(3, 4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = build_optimizer(model, OptimizerSpec(name=name, learning_rate=0.01, weight_decay=0.5))
    model.weight.grad, model.bias.grad = torch.zeros(4, 3), torch.ones(4)
    optimizer.step()
    assert torch.allclose(model.weight, before["weight"] * (1 - 0.01 * 0.5))
    assert (model.bias < before["bias"]).all()


def test_adafactor_keeps_less_than_one_moment() -> None:
    model = nn.Linear(64, 64)
    optimizer = build_optimizer(model, OptimizerSpec(name="adafactor", learning_rate=0.01))
    model(torch.ones(1, 64)).sum().backward()
    optimizer.step()
    state = sum(value.numel() for value in optimizer.state[model.weight].values() if torch.is_tensor(value))
    assert state <= 2 * 64 + 1


@pytest.mark.parametrize("key", ["beta1", "beta2", "epsilon"])
def test_settings_of_adamw_are_refused_for_adafactor(key: str) -> None:
    with pytest.raises(ValidationError, match=rf"{key}: 0.5 is a setting of adamw"):
        OptimizerSpec.model_validate({"name": "adafactor", "learning_rate": 0.01, key: 0.5})

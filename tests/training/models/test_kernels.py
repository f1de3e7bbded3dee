"""Our own gradients against autograd's, of plain formulations of the same functions."""

import platform

import pytest
import torch
from torch.nn import functional

from scaling_lab.training.models import head_loss
from scaling_lab.training.models.attention import RotatedHeads, rotate, rotations
from scaling_lab.training.models.head_loss import MeanLoss
from scaling_lab.training.models.products import Linear, times_transposed, transposed_times


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of three tokens: ten tokens are three parts and a rest."""
    monkeypatch.setattr(head_loss, "part_tokens", lambda *_: 3)


def head_inputs(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 8, dtype=dtype, requires_grad=True)
    weight = torch.randn(11, 8, dtype=dtype, requires_grad=True)
    return x, weight, torch.randint(0, 11, (2, 5))


@pytest.mark.usefixtures("small_parts")
def test_the_loss_and_its_gradients_are_those_of_cross_entropy() -> None:
    x, weight, targets = head_inputs()
    plain = functional.cross_entropy(functional.linear(x, weight).flatten(0, 1), targets.flatten())
    ours = MeanLoss.apply(x, weight, targets)
    torch.testing.assert_close(ours, plain)
    for mine, theirs in zip(
        torch.autograd.grad(3 * ours, (x, weight)), torch.autograd.grad(3 * plain, (x, weight)), strict=True
    ):
        torch.testing.assert_close(mine, theirs)
    assert torch.autograd.gradcheck(lambda x, w: MeanLoss.apply(x, w, targets), (x, weight))


@pytest.mark.usefixtures("small_parts")
def test_the_loss_of_an_absurd_model_is_still_exact() -> None:
    """A target whose probability underflows: a run with too high a rate must be seen as it is."""
    x, weight, targets = head_inputs(torch.float32)
    logits = 1e4 * functional.linear(x, weight)
    plain = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    assert plain > 1000
    torch.testing.assert_close(MeanLoss.apply(1e4 * x, weight, targets), plain)


@pytest.mark.usefixtures("small_parts")
def test_under_autocast_products_are_in_bfloat16_and_the_loss_in_float32() -> None:
    x, weight, targets = head_inputs(torch.float32)
    exact = torch.autograd.grad(MeanLoss.apply(x, weight, targets), (x, weight))
    with torch.autocast("cpu", torch.bfloat16):
        loss = MeanLoss.apply(x, weight, targets)
    assert loss.dtype == torch.float32
    for rounded, gradient in zip(torch.autograd.grad(loss, (x, weight)), exact, strict=True):
        assert rounded.dtype == torch.float32
        assert not torch.equal(rounded, gradient)
        torch.testing.assert_close(rounded, gradient, atol=0.01, rtol=0.05)


def test_rotated_heads_are_those_of_slices_and_concatenation() -> None:
    torch.manual_seed(0)
    qkv = torch.randn(2, 7, 3, 2, 6, dtype=torch.float64, requires_grad=True)
    turns = rotations(7, 6)
    plain = torch.cat([rotate(qkv[:, :, :2], turns), qkv[:, :, 2:]], dim=2).permute(2, 0, 3, 1, 4)
    for ours, theirs in zip(RotatedHeads.apply(qkv, turns), plain, strict=True):
        torch.testing.assert_close(ours, theirs)
    # The angles are of single precision: of 64 bits the numerical Jacobian resolves more.
    turns = turns.to(torch.complex128)
    assert torch.autograd.gradcheck(lambda x: RotatedHeads.apply(x, turns), (qkv,))


@pytest.mark.parametrize(("inputs", "outputs"), [(48, 96), (96, 48), (4, 4)], ids=["wider", "narrower", "too small"])
def test_a_linear_layer_is_torchs(inputs: int, outputs: int) -> None:
    """The first two are large enough for oneDNN, which the last is not."""
    torch.manual_seed(0)
    ours, plain = Linear(inputs, outputs), torch.nn.Linear(inputs, outputs)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(5, 128, inputs, requires_grad=True)
    weigh = torch.randn(5, 128, outputs)
    found, expected = ours(x), plain(x)
    torch.testing.assert_close(found, expected)
    leaves = [[x, *layer.parameters()] for layer in (ours, plain)]
    gradients = [
        torch.autograd.grad((out * weigh).sum(), of) for out, of in zip((found, expected), leaves, strict=True)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=2e-4, rtol=2e-5)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN is used on x86")
def test_large_products_are_onednns() -> None:
    a, b = torch.randn(640, 64), torch.randn(256, 64)
    with torch.profiler.profile() as profile:
        times_transposed(a, b)
        transposed_times(a, torch.randn(640, 256))
        times_transposed(a[:8], b[:8])
    calls = {event.key: event.count for event in profile.key_averages()}
    assert calls["mkldnn::_linear_pointwise"] == 2
    assert calls["aten::linear"] == 1

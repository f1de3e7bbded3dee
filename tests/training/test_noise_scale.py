"""The noise scale: on a quadratic with a known covariance, and on a real run against many micro-batches at once."""

import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tests.conftest import run_spec
from torch import Tensor, nn

from scaling_lab.corpus.store import TokenStore
from scaling_lab.spec import RunSpec
from scaling_lab.training.checkpoints import latest_checkpoint
from scaling_lab.training.data import TrainingStream
from scaling_lab.training.gradients import accumulate, shares, total_norm
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.noise_scale import NoiseAverages
from scaling_lab.training.run import train

DIMENSIONS, SEQUENCES, PARTS = 40, 16, 4


def quadratic_gradients(parts: list[Tensor], parameter: nn.Parameter) -> tuple[Tensor, Tensor]:
    """Of the mean over examples x of |theta - x|^2 / 2, whose gradient is theta - x: its covariance is that of x."""
    return accumulate(
        parts, lambda x: 0.5 * (parameter - x).square().sum(1).mean(), lambda loss: loss.backward(), [parameter]
    )


def test_a_quadratic_with_known_covariance_is_right_to_five_percent() -> None:
    torch.manual_seed(0)
    deviations = torch.linspace(0.5, 2, DIMENSIONS)
    theta = nn.Parameter(torch.full((DIMENSIONS,), 0.3))  # the mean of x is 0, so G = theta
    expected = deviations.square().sum() / theta.detach().square().sum()
    averages, found = NoiseAverages(), []
    for _ in range(4000):
        examples = deviations * torch.randn(SEQUENCES, DIMENSIONS)
        theta.grad = None
        _, small = quadratic_gradients(list(examples.chunk(PARTS)), theta)
        assert theta.grad is not None
        large = theta.grad.square().sum()
        averages.add(small.item(), large.item(), SEQUENCES / PARTS, SEQUENCES)
        found.append((averages.noise, averages.signal))
    noise, signal = torch.tensor(found[500:]).mean(0)  # the averages of the averages: their own noise is 100 steps'
    assert noise / signal == pytest.approx(expected.item(), rel=0.05)
    assert torch.tensor([n / s for n, s in found[500:] if s > 0]).median() == pytest.approx(expected.item(), rel=0.2)


def test_the_ratio_is_not_defined_while_the_signal_is_not_positive() -> None:
    averages = NoiseAverages()
    assert math.isnan(averages.add(small=10.0, large=1.0, small_batch=1, large_batch=2))
    assert averages.add(small=4.0 + 100 / 8, large=4.0 + 100 / 64, small_batch=8, large_batch=64) != 0
    steady = NoiseAverages()
    assert steady.add(4.0 + 100 / 8, 4.0 + 100 / 64, 8, 64) == pytest.approx(25)  # tr 100 over |G|^2 4, at step one


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_micro_batches_sum_to_the_gradient_of_the_batch(parts: int) -> None:
    torch.manual_seed(0)
    examples = torch.randn(SEQUENCES, DIMENSIONS)
    theta = nn.Parameter(torch.zeros(DIMENSIONS))
    loss, square = quadratic_gradients(list(examples.chunk(parts)), theta)
    torch.testing.assert_close(theta.grad, -examples.mean(0))
    torch.testing.assert_close(loss, 0.5 * examples.square().sum(1).mean())
    expected = torch.stack([part.mean(0).square().sum() for part in examples.chunk(parts)]).mean()
    assert math.isnan(square) if parts == 1 else square.item() == pytest.approx(expected.item(), rel=1e-5)


def test_shares_of_devices_are_disjoint_and_whole() -> None:
    batch = torch.arange(24).view(12, 2)
    divided = shares(batch, parts=2, devices=3)
    assert divided.shape == (2, 3, 2, 2)
    assert torch.equal(divided.flatten(0, 2), batch)


def test_accumulation_changes_a_run_only_in_the_last_digits(dataset: Path, tmp_path: Path) -> None:
    curves = []
    for parts in (1, 4):
        folder = tmp_path / str(parts)
        train(run_spec(tokens=128 * 30, micro_batches=parts), dataset, folder, threads=1)
        curves.append(pq.read_table(folder / "metrics.parquet"))
    losses = [torch.tensor(curve["train_loss_nats"].to_pylist()) for curve in curves]
    torch.testing.assert_close(*losses, atol=2e-4, rtol=0)
    assert curves[0]["noise_scale_tokens"].null_count == 30
    assert curves[1]["noise_scale_tokens"].null_count < 30


def direct_noise_scale(spec: RunSpec, store: TokenStore, weights: dict[str, Tensor]) -> float:
    """tr(Sigma) / |G|^2 in tokens, from the gradient of every sequence on its own, at fixed weights."""
    module = LanguageModel(spec)
    module.load_state_dict(weights)
    gradients = []
    for window in TrainingStream(store, spec).batches(0, 60).flatten(0, 1).split(1):
        module.zero_grad()
        module._loss(window).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None]).double())
    stacked = torch.stack(gradients)
    trace = stacked.var(0).sum()
    signal = stacked.mean(0).square().sum() - trace / len(stacked)
    return (trace / signal).item() * spec.architecture.context


def test_a_real_run_agrees_with_many_micro_batches(dataset: Path, tmp_path: Path) -> None:
    """The rate is so small that the weights stand still, and the averages and the direct estimate mean the same."""
    spec = run_spec(
        tokens=128 * 400, micro_batches=4, optimizer__learning_rate=1e-9, schedule__warmup_tokens=0
    )  # weights near their start, where the signal is large
    train(spec, dataset, tmp_path, threads=1)
    checkpoint = latest_checkpoint(tmp_path / "checkpoints")
    assert checkpoint is not None
    weights = torch.load(checkpoint, weights_only=False)["state_dict"]
    direct = direct_noise_scale(spec, TokenStore(dataset / "manifest.json"), weights)
    measured = json.loads((tmp_path / "summary.json").read_text())["noise_scale_tokens"]
    assert measured == pytest.approx(direct, rel=0.1)


def test_the_norm_of_gradients_is_that_of_all_together() -> None:
    assert total_norm([torch.tensor([3.0]), torch.tensor([[4.0]])]).item() == pytest.approx(5)

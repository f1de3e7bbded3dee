import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from scaling_lab.architectures import TransformerSpec
from scaling_lab.science.accounting import Positions
from scaling_lab.spec import RunSpec
from scaling_lab.training.evaluation import loss_by_position
from scaling_lab.training.models.transformer import Head, Transformer, rotate, rotations, token_losses

SHAPES = [(0, 8, 1), (1, 8, 1), (2, 24, 3), (3, 32, 2)]


def architecture(n_layer: int, d_model: int, n_head: int, positions: Positions = "rotary") -> TransformerSpec:
    return TransformerSpec(
        n_layer=n_layer,
        d_model=d_model,
        n_head=n_head,
        d_ff=4 * d_model,
        context=16,
        vocab_size=100,
        positions=positions,
    )


@pytest.mark.parametrize("positions", ["rotary", "learned"])
@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_are_what_the_accounting_counts(shape: tuple[int, int, int], positions: Positions) -> None:
    arch = architecture(*shape, positions)
    assert sum(p.numel() for p in Transformer(arch).parameters()) == arch.shape.params_total


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_flops_are_what_torch_counts(shape: tuple[int, int, int]) -> None:
    arch = architecture(*shape)
    tokens = torch.zeros((2, 16), dtype=torch.long)
    # torch counts the products of plain attention; its CPU flash kernel is opaque to the counter.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        Transformer(arch)(tokens).sum().backward()
    assert counter.get_total_flops() == arch.shape.flops_per_token("matmul") * tokens.numel()


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_the_future_is_invisible(positions: Positions) -> None:
    torch.manual_seed(0)
    model = Transformer(architecture(2, 24, 3, positions)).eval()
    tokens = torch.randint(0, 100, (1, 16))
    changed = tokens.clone()
    changed[0, 10:] = (changed[0, 10:] + 1) % 100
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.allclose(before[:, 10:], after[:, 10:])


def test_initial_loss_is_close_to_that_of_a_uniform_guess(spec: RunSpec) -> None:
    torch.manual_seed(0)
    tokens = torch.randint(0, 257, (8, 33))
    loss = token_losses(Transformer(spec.architecture)(tokens[:, :-1]), tokens[:, 1:]).mean().item()
    assert loss == pytest.approx(torch.log(torch.tensor(257.0)).item(), abs=1.0)


def test_rotation_makes_products_depend_on_the_distance_alone() -> None:
    """The defining property (RoFormer, Eq 11): <R_m q, R_n k> is a function of m - n."""
    torch.manual_seed(0)
    q_and_k = torch.randn(1, 1, 2, 1, 6).expand(1, 12, 2, 1, 6)
    turned = rotate(q_and_k, rotations(12, 6))
    products = torch.einsum("thk,shk->ts", turned[0, :, 0], turned[0, :, 1])
    for distance in range(-11, 12):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert products.std() > 0.1


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_order_matters(positions: Positions) -> None:
    torch.manual_seed(0)
    model = Transformer(architecture(1, 24, 3, positions)).eval()
    tokens = torch.randint(0, 100, (1, 16))
    swapped = tokens[:, [1, 0, *range(2, 16)]]
    assert not torch.allclose(model(tokens)[:, -1], model(swapped)[:, -1])


def test_head_has_the_gradients_of_a_linear_map() -> None:
    x = torch.randn(2, 5, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(11, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Head.apply, (x, weight))


def test_loss_by_position_is_the_mean_over_windows_and_keeps_the_mode() -> None:
    torch.manual_seed(0)
    model = Transformer(architecture(1, 8, 1)).train()
    windows = torch.randint(0, 100, (37, 17))  # not a multiple of the part size
    expected = token_losses(model(windows[:, :-1]), windows[:, 1:]).mean(0)
    found = loss_by_position(model, windows)
    assert model.training
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), expected, atol=1e-5, rtol=0)

import pytest
import torch

from scaling_lab.architectures import TransformerSpec
from scaling_lab.science.accounting import Positions
from scaling_lab.training.evaluation import loss_by_position
from scaling_lab.training.models.attention import rotate, rotations
from scaling_lab.training.models.head import Head, token_losses
from scaling_lab.training.models.transformer import Transformer


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

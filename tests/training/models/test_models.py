"""What holds for every model: counts, causality, dropout, chance at the start."""

import math

import pytest
import torch
from tests.training.models.specs import CONTEXT, VARIANTS, VOCABULARY, architecture
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from scaling_lab.architectures import ArchitectureSpec, LSTMSpec
from scaling_lab.training.models import build_model
from scaling_lab.training.models.head import token_losses

each = pytest.mark.parametrize("spec", VARIANTS.values(), ids=VARIANTS)


@each
def test_parameters_are_what_the_accounting_counts_in_every_group(spec: ArchitectureSpec) -> None:
    counted = {group: size for group, size in spec.shape.params_by_group.items() if size}
    assert build_model(spec).params_by_group() == counted


@each
def test_flops_are_what_torch_counts(spec: ArchitectureSpec) -> None:
    model, batch = build_model(spec), 2
    tokens = torch.zeros((batch, CONTEXT), dtype=torch.long)
    # torch sees the products of plain attention and of plain LSTM cells; its fused CPU kernels are opaque to it.
    plain = torch.backends.mkldnn.flags(enabled=False)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), plain:
        model(tokens).sum().backward()
    # The state before the first token (and, with detached states, before each chunk) takes no gradient.
    chunks = math.ceil(CONTEXT / (spec.bptt_tokens or CONTEXT)) if isinstance(spec, LSTMSpec) else 0
    without = chunks * spec.n_layer * batch * 2 * 4 * spec.d_model**2
    assert counter.get_total_flops() + without == model.flops_per_token("matmul") * tokens.numel()


@each
def test_the_future_is_invisible_and_the_past_is_not(spec: ArchitectureSpec) -> None:
    torch.manual_seed(0)
    model = build_model(spec).eval()
    tokens = torch.randint(0, VOCABULARY, (1, CONTEXT))
    changed = tokens.clone()
    changed[0, 7] = (changed[0, 7] + 1) % VOCABULARY
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    later = (before[0, 8:] - after[0, 8:]).abs().amax(1)
    assert (later == 0).all() if spec.n_layer == 0 else (later > 0).all()


@pytest.mark.parametrize("spec", [spec for spec in VARIANTS.values() if spec.n_layer])
def test_it_starts_near_chance(spec: ArchitectureSpec) -> None:
    """But for a model without layers: a tied head then gives its own input the largest logit."""
    torch.manual_seed(0)
    tokens = torch.randint(0, VOCABULARY, (32, CONTEXT + 1))
    loss = token_losses(build_model(spec)(tokens[:, :-1]), tokens[:, 1:]).mean().item()
    assert loss == pytest.approx(math.log(VOCABULARY), abs=1.0)


@pytest.mark.parametrize("kind", ["transformer", "universal", "lstm"])
def test_dropout_follows_torch_and_is_off_in_evaluation(kind: str) -> None:
    own = {"reuse": 2} if kind == "universal" else {}
    model = build_model(architecture(kind=kind, dropout=0.5, **own))
    tokens = torch.randint(0, VOCABULARY, (2, CONTEXT))

    def logits(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return model(tokens)

    assert torch.equal(logits(0), logits(0))
    assert not torch.equal(logits(0), logits(1))
    model.eval()
    assert torch.equal(logits(0), logits(1))


def test_an_untied_head_learns_apart_from_the_embedding() -> None:
    model = build_model(architecture(tied=False))
    model(torch.zeros((1, CONTEXT), dtype=torch.long)).square().sum().backward()
    assert model.head_weight is not model.token_embedding.weight
    touched = model.token_embedding.weight.grad
    assert touched is not None
    assert touched[0].abs().sum() > 0
    assert touched[1:].abs().sum() == 0  # of a tied one every row would be

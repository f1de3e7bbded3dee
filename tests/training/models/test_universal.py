import torch
from tests.training.models.specs import CONTEXT, VOCABULARY, architecture

from scaling_lab.training.models import build_model
from scaling_lab.training.models.universal import pass_signals


def test_without_signals_it_is_a_transformer_whose_layers_are_equal() -> None:
    torch.manual_seed(0)
    universal = build_model(architecture(kind="universal", n_layer=2, reuse=3)).eval()
    deep = build_model(architecture(n_layer=6)).eval()
    weights = dict(universal.state_dict())
    for name, value in universal.blocks.state_dict().items():
        layer, _, rest = name.partition(".")
        weights |= {f"blocks.{2 * turn + int(layer)}.{rest}": value for turn in range(3)}
    deep.load_state_dict(weights)
    tokens = torch.randint(0, VOCABULARY, (2, CONTEXT))
    assert not torch.allclose(universal(tokens), deep(tokens))
    universal.signals.zero_()
    torch.testing.assert_close(universal(tokens), deep(tokens))


def test_signals_tell_passes_apart_and_are_as_large_as_the_embedding() -> None:
    signals = pass_signals(8, 64)
    assert signals.square().mean().item() == torch.tensor(1.0).item()
    assert torch.pdist(signals).min() > 0.1
    assert pass_signals(2, 7).shape == (2, 7)
    model = build_model(architecture(kind="universal", reuse=8))
    ratio = model.signals.std() / model.token_embedding.weight.std()
    assert 0.5 < ratio < 2

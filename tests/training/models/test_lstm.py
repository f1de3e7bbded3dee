import math

import torch
from tests.training.models.specs import CONTEXT, VOCABULARY, architecture
from torch import Tensor

from scaling_lab.training.models import build_model
from scaling_lab.training.models.lstm import LSTM, STATE_SCALE


def lstm(seed: int = 0, **fields: int) -> LSTM:
    torch.manual_seed(seed)
    model = build_model(architecture(kind="lstm", **fields))
    assert isinstance(model, LSTM)
    return model


def tokens() -> Tensor:
    return torch.randint(0, VOCABULARY, (3, CONTEXT), generator=torch.Generator().manual_seed(1))


def test_it_computes_the_equations_of_an_lstm() -> None:
    """i, f, o = sigmoid(...), c' = f c + i tanh(...), h' = o tanh(c') (Hochreiter and Schmidhuber 1997, Gers 2000)."""
    model, x = lstm(n_layer=1), tokens()
    weights = dict(model.lstm[0].named_parameters())
    state = cell = torch.zeros(3, 24)
    outputs = []
    for step in range(CONTEXT):
        gates = math.sqrt(24) * model.token_embedding(x[:, step]) @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]
        gates = gates + state @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]
        enter, keep, new, leave = gates.chunk(4, dim=1)
        cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
        state = leave.sigmoid() * cell.tanh()
        outputs.append(STATE_SCALE * state @ model.token_embedding.weight.T)
    torch.testing.assert_close(model(x), torch.stack(outputs, dim=1), atol=1e-5, rtol=1e-5)


def test_the_state_is_carried_from_chunk_to_chunk() -> None:
    torch.testing.assert_close(lstm(bptt_tokens=5)(tokens()), lstm()(tokens()))


def test_gradients_stop_at_the_beginning_of_a_chunk() -> None:
    reach = {}
    for chunk in (None, 4):
        model = lstm(**({} if chunk is None else {"bptt_tokens": chunk}))
        inputs: list[Tensor] = []
        model.dropout.register_forward_hook(lambda _module, _args, out, seen=inputs: seen.append(out))
        logits = model(tokens())
        (gradient,) = torch.autograd.grad(logits[:, -1].square().sum(), inputs[0])
        reach[chunk] = (gradient.abs().sum((0, 2)) > 0).nonzero().min().item()
    assert reach == {None: 0, 4: 12}


def test_inputs_of_every_layer_and_of_the_head_start_at_about_one() -> None:
    for width in (24, 96):
        seen: list[float] = []
        model = lstm(n_layer=4, d_model=width)
        model.dropout.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out.square().mean().sqrt()))
        model(tokens())
        assert len(seen) == 5
        assert all(0.5 < size < 2 for size in seen), seen


def test_forget_gates_start_open() -> None:
    for layer in lstm().lstm:
        bias = layer.bias_ih_l0 + layer.bias_hh_l0
        assert bias.view(4, 24).mean(1).tolist() == [0, 1, 0, 0]

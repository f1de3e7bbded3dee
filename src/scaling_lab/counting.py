"""`scaling-lab count`: models by every convention, on the terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from scaling_lab.errors import ConfigError
from scaling_lab.science.accounting import (
    FLOPS_CONVENTIONS,
    PARAMS_CONVENTIONS,
    PF_DAY,
    Architecture,
    LSTMShape,
    Shape,
    UniversalShape,
)
from scaling_lab.science.accounting.published_shapes import PUBLISHED_SHAPES

WIDTH = 140


def published_shapes(names: Sequence[str]) -> dict[str, Architecture]:
    """Published models by name. Raises ConfigError."""
    for name in names:
        if name not in PUBLISHED_SHAPES:
            raise ConfigError(f"no published model {name!r}; allowed: {', '.join(PUBLISHED_SHAPES)}")
    return {name: PUBLISHED_SHAPES[name] for name in names}


def own_shape(
    n_layer: int | None,
    d_model: int | None,
    n_head: int | None,
    d_ff: int | None,
    context: int,
    vocab_size: int,
    reuse: int,
    lstm: bool,
) -> Architecture:
    """A Transformer, one whose blocks are passed `reuse` times, or an LSTM. Raises ConfigError.

    Without n_head and d_ff: heads of width 64 and d_ff = 4 d_model.
    """
    if n_layer is None or d_model is None:
        raise ConfigError("name a published model, or give --n-layer and --d-model")
    if lstm and (n_head is not None or d_ff is not None or reuse != 1):
        raise ConfigError("an LSTM has no heads, no feed-forward blocks and no reuse; leave out what is set of "
                          "--n-head, --d-ff and --reuse")  # fmt: skip
    heads, inner = n_head if n_head is not None else max(1, d_model // 64), d_ff if d_ff is not None else 4 * d_model
    try:
        if lstm:
            return LSTMShape(n_layer, d_model, context, vocab_size)
        if reuse != 1:
            return UniversalShape(n_layer, d_model, heads, inner, context, vocab_size, reuse=reuse)
        return Shape(n_layer, d_model, heads, inner, context, vocab_size)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def print_counts(shapes: Mapping[str, Architecture], tokens: float | None) -> None:
    """Parameters by group and convention, and training FLOPs per token (of `tokens` tokens in all) by convention.

    Several models stand side by side, a column each.
    """
    console = Console(width=WIDTH)
    console.print(_params_table(shapes))
    console.print(_flops_table(shapes, None))
    if tokens is not None:
        console.print(_flops_table(shapes, tokens))


def _params_table(shapes: Mapping[str, Architecture]) -> Table:
    table = _table("parameters", shapes, "what it counts")
    groups = list(dict.fromkeys(group for shape in shapes.values() for group in shape.params_by_group))
    for group in groups:
        table.add_row(group, *(f"{shape.params_by_group.get(group, 0):,}" for shape in shapes.values()), "")
    table.add_section()
    for name, meaning in PARAMS_CONVENTIONS:
        table.add_row(name, *(f"{shape.params(name):,}" for shape in shapes.values()), meaning)
    if any(shape.params_with_reuse != shape.params_non_embedding for shape in shapes.values()):
        used = (f"{shape.params_with_reuse:,}" for shape in shapes.values())
        table.add_row("params_with_reuse", *used, "non-embedding, as often as a token passes them: N of the FLOPs")
    return table


def _flops_table(shapes: Mapping[str, Architecture], tokens: float | None) -> Table:
    unit = "FLOP per token" if tokens is None else f"FLOP of {tokens:g} tokens (PF-days)"
    table = _table(unit, shapes, "what it counts")
    for name, meaning in FLOPS_CONVENTIONS:
        table.add_row(name, *(_work(shape.flops_per_token(name), tokens) for shape in shapes.values()), meaning)
    return table


def _table(first: str, shapes: Mapping[str, Architecture], last: str) -> Table:
    table = Table(first)
    for name in shapes:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(last)
    return table


def _work(per_token: int, tokens: float | None) -> str:
    if tokens is None:
        return f"{per_token:,}"
    return f"{per_token * tokens:.4e} ({per_token * tokens / PF_DAY:.3g})"

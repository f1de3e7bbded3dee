"""`scaling-lab count`: one model by every convention, on the terminal."""

from rich.console import Console
from rich.table import Table

from scaling_lab.errors import ConfigError
from scaling_lab.science.accounting import FLOPS_CONVENTIONS, PARAMS_CONVENTIONS, PF_DAY, Shape


def print_counts(
    n_layer: int, d_model: int, n_head: int, d_ff: int, context: int, vocab_size: int, tokens: float | None
) -> None:
    """Print parameters by group and convention, and training FLOPs per token (and in all) by convention.

    Raises:
        ConfigError: the shape is impossible.
    """
    try:
        shape = Shape(n_layer, d_model, n_head, d_ff, context, vocab_size)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    console = Console(width=120)
    console.print(_params_table(shape))
    console.print(_flops_table(shape, tokens))


def _params_table(shape: Shape) -> Table:
    table = Table("parameters", "count", "what it counts")
    for group, size in shape.params_by_group.items():
        table.add_row(group, f"{size:,}", "")
    table.add_section()
    for name, meaning in PARAMS_CONVENTIONS:
        table.add_row(name, f"{shape.params(name):,}", meaning)
    return table


def _flops_table(shape: Shape, tokens: float | None) -> Table:
    table = Table("convention", "FLOP per token", *(("FLOP", "PF-days") if tokens else ()), "what it counts")
    for name, meaning in FLOPS_CONVENTIONS:
        per_token = shape.flops_per_token(name)
        total = (f"{per_token * tokens:.4e}", f"{per_token * tokens / PF_DAY:.4e}") if tokens else ()
        table.add_row(name, f"{per_token:,}", *total, meaning)
    return table

"""From a shape of a grid and the recipe to the model of a run."""

from typing import Any

from scaling_lab.architectures import ArchitectureSpec, LSTMSpec, TransformerSpec, UniversalSpec
from scaling_lab.config import TrainingConfig
from scaling_lab.errors import ConfigError
from scaling_lab.grid_shapes import ShapeConfig


def make_architecture(shape: ShapeConfig, training: TrainingConfig, vocab_size: int) -> ArchitectureSpec:
    """The model of a shape by the recipe's architecture, context, heads, ratios and parametrization.

    Raises:
        ConfigError: the architecture has no such field.
        ValidationError: no such model can be built.
    """
    common: dict[str, Any] = {
        "n_layer": shape.n_layer,
        "d_model": shape.d_model,
        "context": training.context,
        "vocab_size": vocab_size,
        "dropout": training.dropout,
        "tied": training.tied,
    }
    match training.architecture:
        case "transformer":
            return TransformerSpec(**common, **_blocks(shape, training))
        case "universal":
            return UniversalSpec(kind="universal", reuse=training.reuse, **common, **_blocks(shape, training))
        case "lstm":
            _refuse_blocks(shape, training)
            return LSTMSpec(kind="lstm", bptt_tokens=training.bptt_tokens, **common)


def _blocks(shape: ShapeConfig, training: TrainingConfig) -> dict[str, Any]:
    heads = shape.n_head or fitting_heads(shape.d_model, training.head_dim)
    # A head width that follows from the others is left out, so that equal models are equal specs.
    implied = shape.head_dim is None or shape.head_dim * heads == shape.d_model
    return {
        "n_head": heads,
        "head_dim": None if implied else shape.head_dim,
        "d_ff": shape.d_ff or max(1, round(training.d_ff_ratio * shape.d_model)),
        "positions": training.positions,
        "parametrization": training.parametrization,
        "base_width": None if training.parametrization == "standard" else training.base_width,
        "base_depth": training.base_depth if training.parametrization == "completep" else None,
    }


def _refuse_blocks(shape: ShapeConfig, training: TrainingConfig) -> None:
    for name in ("n_head", "head_dim", "d_ff"):
        if getattr(shape, name) is not None:
            raise ConfigError(f"shapes: {name} is not of an lstm")
    if training.parametrization != "standard":
        raise ConfigError(f"training.parametrization: {training.parametrization} is not for an lstm")


def fitting_heads(d_model: int, head_dim: int) -> int:
    """As many heads as divide the width and leave each at least `head_dim` wide, and even, as rotations need it."""
    fitting = [h for h in range(1, d_model // head_dim + 1) if d_model % (2 * h) == 0]
    return max(fitting, default=1)

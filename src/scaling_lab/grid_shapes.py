"""An entry of `grid[].shapes`: a pair, the name of a published model, or a mapping."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from scaling_lab.frozen import Frozen
from scaling_lab.science.accounting import ChinchillaShape, Shape
from scaling_lab.science.accounting.published_shapes import PUBLISHED_SHAPES, TABLE_A9


class ShapeConfig(Frozen):
    """One model of a grid: `[n_layer, d_model]`, the name of a published model, or a mapping."""

    n_layer: int = Field(ge=0, description="layers; 0, embedding and head alone, for a Transformer only")
    d_model: int = Field(ge=1, description="width")
    n_head: int | None = Field(default=None, ge=1, description="heads; by `training.head_dim` if left out")
    head_dim: int | None = Field(default=None, ge=1, description="width of each of `n_head` heads; d_model / n_head")
    d_ff: int | None = Field(default=None, ge=1, description="feed-forward width; by `training.d_ff_ratio`")

    @model_validator(mode="after")
    def _heads_of_a_width(self) -> Self:
        if self.head_dim is not None and self.n_head is None:
            raise ValueError("head_dim: give `n_head` as well")
        return self


def _shape_mapping(entry: Any) -> Any:
    """A mapping from a pair or from the name of a published model."""
    if isinstance(entry, list | tuple) and len(entry) == 2:
        return {"n_layer": entry[0], "d_model": entry[1]}
    return published_shape(entry) if isinstance(entry, str) else entry


def published_shape(name: str) -> dict[str, int]:
    """Layers, width, heads and feed-forward width of a published model.

    Raises:
        ValueError: there is no such model.
    """
    match PUBLISHED_SHAPES.get(name):
        case ChinchillaShape() as shape:
            heads = {"n_head": shape.n_head, "head_dim": shape.d_head}
        case Shape() as shape:
            heads = {"n_head": shape.n_head}
        case _:
            sizes = f"hoffmann-{min(TABLE_A9)}m to hoffmann-{max(TABLE_A9)}m, the sizes of Table A9"
            others = ", ".join(known for known in PUBLISHED_SHAPES if not known.startswith("hoffmann"))
            raise ValueError(f"no such model; allowed: {others}, {sizes}")
    return {"n_layer": shape.n_layer, "d_model": shape.d_model, "d_ff": shape.d_ff} | heads


ShapeEntry = Annotated[
    ShapeConfig, BeforeValidator(_shape_mapping, json_schema_input_type=ShapeConfig | tuple[int, int] | str)
]

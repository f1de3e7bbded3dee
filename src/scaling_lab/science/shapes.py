"""From a number of parameters to a model: the study's own proportions, continued to sizes that it did not train."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from scaling_lab.science.accounting import FlopsConvention, ParamsConvention, Shape, blocks_params, flops_groups
from scaling_lab.science.laws import Array

WIDTH_STEP = 8
_ASPECT_WEIGHT = 0.25  # being 4 % off the proportions costs as much as 1 % off the size


class ShapeFamily:
    """The shapes of a study and the sizes between and beyond them.

    The aspect ratio d_model / n_layer is interpolated in log N and held constant beyond the smallest and largest shape;
    the ratio d_ff / d_model, the context and the vocabulary are those of the largest.
    """

    def __init__(self, shapes: Sequence[Shape], params: ParamsConvention, flops: FlopsConvention) -> None:
        buildable = sorted({s for s in shapes if s.n_layer}, key=lambda s: s.params_non_embedding)
        if not buildable:
            raise ValueError("no shape with at least one layer")
        self.params_convention, self.flops_convention = params, flops
        self.largest = buildable[-1]
        self._ff_ratio = self.largest.d_ff / self.largest.d_model
        sizes = np.log([s.params_non_embedding for s in buildable])
        aspects = np.log([s.d_model / s.n_layer for s in buildable])
        self._log_size = np.unique(sizes)
        self._log_aspect = np.array([aspects[sizes == size].mean() for size in self._log_size])
        self._head_width = _usual_head_width(buildable)
        self._tabulate()

    def _tabulate(self) -> None:
        """Parameters and FLOPs per token by the family's conventions, for non-embedding sizes of 10 to 1e16."""
        self._log_blocks = log_blocks = np.linspace(np.log(10), np.log(1e16), 4000)
        aspect = np.exp(np.interp(log_blocks, self._log_size, self._log_aspect))
        width = np.cbrt(np.exp(log_blocks) * aspect / (4 + 2 * self._ff_ratio))
        layers, shape = width / aspect, self.largest
        parts = flops_groups(
            self.flops_convention,
            layers,
            width,
            width / self._head_width,
            width * self._ff_ratio,
            shape.context,
            shape.vocab_size,
        )
        self._log_flops = np.log(np.sum([np.broadcast_to(part, width.shape) for part in parts.values()], axis=0))
        blocks = blocks_params(layers, width, width * self._ff_ratio)
        linear, constant = self._outside_blocks(layers)
        self._log_params = np.log(blocks + linear * width + constant)

    def _outside_blocks(self, layers: Array) -> tuple[Array, float]:
        """Parameters beyond the blocks' weights, per unit of width, by the family's convention."""
        shape = self.largest
        if self.params_convention == "params_non_embedding":
            return 0.0 * layers, 0.0
        if self.params_convention == "params_with_head":
            return shape.vocab_size + 0.0 * layers, 0.0
        positions = shape.context if shape.positions == "learned" else 0
        return shape.vocab_size + positions + 2 + layers * (9 + self._ff_ratio), 0.0

    @property
    def params_range(self) -> tuple[float, float]:
        """Sizes that the table covers."""
        return float(np.exp(self._log_params[0])), float(np.exp(self._log_params[-1]))

    def flops_per_token(self, params: Array | float) -> Array:
        """Training FLOPs per token of a model of `params` parameters, both by the family's conventions."""
        return np.asarray(np.exp(np.interp(np.log(params), self._log_params, self._log_flops)))

    def non_embedding(self, params: Array | float) -> Array:
        """Non-embedding parameters of models of `params` parameters by the family's convention."""
        return np.asarray(np.exp(np.interp(np.log(params), self._log_params, self._log_blocks)))

    def params_of(self, non_embedding: Array | float) -> Array:
        """Parameters by the family's convention of models of `non_embedding` non-embedding parameters."""
        return np.asarray(np.exp(np.interp(np.log(non_embedding), self._log_blocks, self._log_params)))

    def aspect(self, params: float) -> float:
        """d_model / n_layer at `params` parameters."""
        log_blocks = np.log(self.non_embedding(params))
        return float(np.exp(np.interp(log_blocks, self._log_size, self._log_aspect)))

    def nearest(self, params: float) -> Shape:
        """The buildable shape (width a multiple of 8) nearest in size and proportions."""
        aspect = self.aspect(params)
        candidates = []
        middle = max(1, round(float(np.cbrt(params / (4 + 2 * self._ff_ratio) / aspect**2))))
        for layers in range(1, 2 * middle + 2):
            linear = float(self._outside_blocks(np.array(float(layers)))[0])
            square = layers * (4 + 2 * self._ff_ratio)
            width = (-linear + np.sqrt(linear**2 + 4 * square * params)) / (2 * square)
            for steps in {max(1, int(width // WIDTH_STEP)), int(width // WIDTH_STEP) + 1}:
                candidates.append(self._shape(layers, steps * WIDTH_STEP))

        def distance(shape: Shape) -> float:
            off_size = abs(np.log(shape.params(self.params_convention) / params))
            return float(off_size + _ASPECT_WEIGHT * abs(np.log(shape.d_model / shape.n_layer / aspect)))

        return min(candidates, key=distance)

    def _shape(self, layers: int, width: int) -> Shape:
        divisors = [h for h in range(1, width + 1) if width % h == 0]
        heads = min(divisors, key=lambda h: abs(np.log(width / h / self._head_width)))
        inner = max(1, round(self._ff_ratio * width))
        largest = self.largest
        return Shape(layers, width, heads, inner, largest.context, largest.vocab_size, largest.positions)


def _usual_head_width(shapes: Sequence[Shape]) -> float:
    """The most frequent head width among the shapes with several heads, else that of the largest shape."""
    widths = Counter(s.d_model // s.n_head for s in shapes if s.n_head > 1)
    return float(widths.most_common(1)[0][0] if widths else shapes[-1].d_model // shapes[-1].n_head)

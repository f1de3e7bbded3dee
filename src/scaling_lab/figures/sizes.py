"""Colour by size: what figures of many curves share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from scaling_lab.figures.style import GREY, power_of_ten, size_colours, size_norm
from scaling_lab.science.laws import Array

MOST_TICKS = 10


def size_scale(sizes: Sequence[float]) -> ScalarMappable:
    """The colour of each size, by its logarithm."""
    return ScalarMappable(size_norm(sizes), size_colours())


def colour_bar(
    figure: Figure, panels: Sequence[Axes], scale: ScalarMappable, values: Sequence[float], label: str
) -> None:
    """A bar to the right of the panels with the values that were drawn, thinned where they are many."""
    shown = sorted(values)[:: max(1, -(-len(values) // MOST_TICKS))]
    bar = figure.colorbar(scale, ax=list(panels), pad=0.02, aspect=30)
    bar.set_ticks(shown, labels=[power_of_ten(float(f"{value:.2g}")) for value in shown])
    bar.minorticks_off()
    bar.outline.set_visible(False)
    bar.set_label(label)


def published_slope(axes: Axes, x: Array, y: Array, exponent: float, label: str) -> None:
    """A published exponent as a line through the middle of our points: scales of other texts do not compare."""
    ends = np.array([x.min() / 1.5, x.max() * 1.5])
    middle_x, middle_y = np.exp(np.mean(np.log(x))), np.exp(np.mean(np.log(y)))
    axes.plot(ends, middle_y * (ends / middle_x) ** exponent, color=GREY, linestyle=":", linewidth=1.6, label=label)

"""The shared look of all figures: colours that colour-blind readers tell apart, plain axes, equal bytes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from scaling_lab.files import atomic_path

# Okabe and Ito's palette.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
INK, GREY, PALE = "#222222", "#8A8A8A", "#D9D9D9"

_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.labelsize": 12,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#EBEBEB",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "mathtext.fontset": "dejavusans",
    "mathtext.default": "regular",
    "svg.hashsalt": "scaling-lab",  # element ids are otherwise random
    "svg.fonttype": "none",  # text stays text: searchable, and sharp at every size
}

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's settings while a figure is drawn and saved; the user's own do not reach in, nor do ours out."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def new_figure(columns: int = 1, width: float = 6.4, height: float = 4.6, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side, apart from pyplot's global state; sizes in inches."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, columns, squeeze=False, **options)[0])


def save(figure: Figure, svg: Path) -> None:
    """Write `svg` and, beside it, a png of 160 dpi; equal figures give equal bytes."""
    with atomic_path(svg) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    with atomic_path(svg.with_suffix(".png")) as partial:
        figure.savefig(partial, format="png", dpi=160, metadata={"Software": None})


def size_colours() -> Colormap:
    """Viridis without its palest end, which white paper swallows."""
    viridis = mpl.colormaps["viridis"]
    return LinearSegmentedColormap.from_list("sizes", [viridis(0.88 * i / 63) for i in range(64)])


def size_norm(params: Sequence[float]) -> LogNorm:
    """Colour by the logarithm of the size."""
    low, high = min(params), max(params)
    return LogNorm(low, high if high > low else 2 * low)


def power_of_ten(value: float) -> str:
    """10¹², 200: a tick label without mathematical type, which an SVG could not keep as text."""
    if 1 <= value < 10_000:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    mantissa = f"{value / 10**exponent:.3g}"
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return power if mantissa == "1" else f"{mantissa}\N{MULTIPLICATION SIGN}{power}"


def log_counts(axes: Axes, axis: str = "x") -> None:
    """A logarithmic axis of counts: N, D or FLOPs. The narrower its range, the more labels a decade gets."""
    (axes.set_xscale if axis == "x" else axes.set_yscale)("log")
    target = axes.xaxis if axis == "x" else axes.yaxis
    low, high = axes.get_xlim() if axis == "x" else axes.get_ylim()
    decades = math.log10(high / low)
    if decades < 0.7:
        target.set_major_locator(FixedLocator(MaxNLocator(4).tick_values(low, high)[1:-1]))
        target.set_minor_locator(NullLocator())
    else:
        subs = (1.0,) if decades >= 2 else (1.0, 3.0) if decades > 1.2 else (1.0, 2.0, 5.0)
        target.set_major_locator(LogLocator(base=10, subs=subs, numticks=7))
    target.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    target.set_minor_formatter(NullFormatter())


def log_loss(axes: Axes, ticks: int = 6) -> None:
    """A logarithmic axis of losses with round decimal labels: losses rarely span a decade."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    values = [
        tick
        for tick in MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        if low <= tick <= high and tick > 0
    ]
    axes.yaxis.set_major_locator(FixedLocator(values))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(low, high)


def annotate(axes: Axes, text: str, corner: str = "upper right", colour: str = INK) -> None:
    """Text in a corner of the panel, on a white ground."""
    vertical, horizontal = corner.split()
    axes.text(
        0.97 if horizontal == "right" else 0.03,
        0.97 if vertical == "upper" else 0.03,
        text,
        transform=axes.transAxes,
        ha=horizontal,
        va="top" if vertical == "upper" else "bottom",
        color=colour,
        fontsize=11,
        linespacing=1.4,
        zorder=10,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2},
    )


def legend_below(figure: Figure, panels: Sequence[Axes], columns: int = 4) -> None:
    """One legend for all panels, under them, where it hides no data; entries of the same name appear once."""
    entries = {name: handle for axes in panels for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns)


def shade_beyond(axes: Axes, largest: float) -> None:
    """Shade the region to the right of `largest`, where no run was trained, and say so."""
    low, high = axes.get_xlim()
    if largest >= high:
        return
    axes.axvspan(largest, high, color="#F1F1F1", linewidth=0, zorder=0)
    axes.set_xlim(low, high)
    if math.log(high / largest) < 0.2 * math.log(high / low):
        return  # no room for the word
    axes.text(largest, 0.03, " extrapolation", transform=axes.get_xaxis_transform(), color="#5A5A5A", fontsize=11)


def watermark(figure: Figure, text: str) -> None:
    """Large, pale red words across every panel, over its data, so that no crop is without them."""
    for axes in figure.axes:
        place: Any = {"transform": axes.transAxes, "ha": "center", "va": "center", "rotation": 25}
        axes.text(0.5, 0.5, text, color="#B00020", alpha=0.35, fontsize=34, zorder=100, **place)


def refused(axes: Axes, reasons: Mapping[str, Mapping[str, str]], width: int = 44) -> None:
    """Say above the panel which laws were refused, and why; there the words hide no data. `width` in characters."""
    lines = []
    for law, reason in reasons.items():
        lines.append(f"{law} refused: {reason['code'].replace('_', ' ')}")
        lines += textwrap.wrap(reason["message"], width, max_lines=4, placeholder=" ...")
    if lines:
        axes.set_title("\n".join(lines), color=RED, fontsize=11, linespacing=1.35)

"""Kaplan et al. 2020, Figure 10: the critical batch against the loss, by hyperbolas and by the gradient noise scale."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from scaling_lab.figures.drawing import Drawing
from scaling_lab.figures.inputs import Fit, StudyData
from scaling_lab.figures.labels import rounded, with_interval
from scaling_lab.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    annotate,
    legend_below,
    log_counts,
    new_figure,
    refused,
)  # fmt: skip
from scaling_lab.science.laws import LAWS
from scaling_lab.science.published import PUBLISHED

COLOURS = (BLUE, GREEN, PURPLE, INK)
LOSS = "training loss, nats per token"


def critical_batch(data: StudyData) -> Drawing:
    """One panel, the loss falling to the right; the published law is of another text and vocabulary."""
    figure, (axes,) = new_figure(1, 7.6, 5.6)
    drawing = Drawing(figure)
    fit = data.fit("critical_batch")
    if fit is None:
        annotate(axes, "this study does not fit B_crit(L)", "upper left")
        return drawing
    _noise_scale(axes, fit, drawing)
    if fit.ok:
        _hyperbolas(axes, fit, drawing)
        _law(axes, fit, data, drawing)
        axes.set_title(
            f"$B^*$ = {rounded(fit.value('B_star'))} tokens, 1 / $\\alpha_B$ = {with_interval(fit, 'loss_exponent', 1)}"
        )
        _by_size(axes, fit, drawing)
    else:
        refused(axes, {"B_crit(L)": fit.reason}, 70)
    axes.set(xscale="log", xlabel=LOSS, ylabel="tokens per step")
    log_counts(axes, "y")
    low, high = axes.get_xlim()
    ticks = [tick for tick in (2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9, 10) if low <= tick <= high]
    axes.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(high, low)
    legend_below(figure, [axes], 2)
    return drawing


def _colours(fit: Fit) -> dict[float, str]:
    """Of the sizes that were scanned; without a scan, of the first that measured a noise scale."""
    sizes = {row["params"] for row in fit.record.get("hyperbolas", [])} or set(fit.record["noise_scale"]["params"])
    return dict(zip(sorted(sizes), COLOURS, strict=False))


def _noise_scale(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    measured = {name: np.array(values) for name, values in fit.record["noise_scale"].items()}
    for size, colour in _colours(fit).items():
        own = measured["params"] == size
        loss, noise = measured["loss"][own], measured["noise_scale_tokens"][own]
        if len(loss):
            label = f"gradient noise scale, N = {rounded(size)}"
            axes.plot(loss, noise, color=colour, linewidth=1.2, marker=".", markersize=5, alpha=0.7, label=label)
            drawing.record("all", label, loss=loss, batch_tokens=noise)


def _hyperbolas(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    for size, colour in _colours(fit).items():
        rows = [row for row in fit.record["hyperbolas"] if row["params"] == size]
        if not rows:
            continue
        loss, found = (
            np.array(values) for values in zip(*((r["loss"], r["B_crit"]["value"]) for r in rows), strict=True)
        )
        bounds = [row["B_crit"]["interval"] or {"low": v, "high": v} for row, v in zip(rows, found, strict=True)]
        low, high = (np.array([bound[end] for bound in bounds]) for end in ("low", "high"))
        label = f"hyperbola of each loss, N = {rounded(size)}"
        spread = [np.maximum(found - low, 0), np.maximum(high - found, 0)]
        axes.errorbar(loss, found, yerr=spread, fmt="o", color=colour, elinewidth=1, label=label)
        drawing.record("all", label, loss=loss, batch_tokens=found, batch_tokens_low=low, batch_tokens_high=high)


def _by_size(axes: Axes, fit: Fit, drawing: Drawing) -> None:
    """Whether B_crit is a power of the loss alone: its power of N at a loss that the sizes share."""
    found = fit.record["by_size"]
    if found["status"] != "ok" or found["growth"]["interval"] is None:
        return
    growth, bounds = found["growth"], found["growth"]["interval"]
    annotate(
        axes,
        f"at a loss of {found['loss']:.3g}, $B_{{crit}}$ grows as $N^{{\\gamma}}$:\n"
        f"$\\gamma$ = {growth['value']:.2f} ({bounds['low']:.2f} to {bounds['high']:.2f}); 0 in the paper",
        "upper left",
    )
    for size in found["sizes"]:
        label = f"own power, N = {rounded(size['params'])}"
        drawing.record("all", label, loss=found["loss"], batch_tokens=size["B_crit"]["value"])


def _law(axes: Axes, fit: Fit, data: StudyData, drawing: Drawing) -> None:
    losses = fit.points["loss"]
    grid = np.geomspace(losses.min() / 1.12, losses.max() * 1.05, 80)
    ours, band = fit.predict({"L": grid}), fit.band({"L": grid}, data.level)
    axes.plot(grid, ours, color=ORANGE, label="all hyperbolas together")
    columns = {"loss": grid, "batch_tokens": ours}
    if band is not None:
        axes.fill_between(grid, *band, color=ORANGE, alpha=0.2, linewidth=0)
        columns |= {"batch_tokens_low": band[0], "batch_tokens_high": band[1]}
    drawing.record("all", "law", **columns)
    published = LAWS["critical_batch"].predict(PUBLISHED["kaplan_batch"].values, {"L": grid})
    axes.plot(
        grid, published, color=GREY, linestyle=":", label="Kaplan et al. 2020: $2.1·10^8 / L^{4.8}$, another text"
    )
    drawing.record("all", "published", loss=grid, batch_tokens=published)

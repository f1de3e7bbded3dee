"""Tick labels and axes."""

import pytest
from matplotlib.figure import Figure

from scaling_lab.figures.style import house_style, log_counts, log_loss, new_figure, power_of_ten, shade_beyond


@pytest.mark.parametrize(
    ("value", "label"),
    [(1.0, "1"), (250.0, "250"), (9999.0, "9999"), (1e4, "10⁴"), (2.5e13, "2.5\u00d710¹³"), (3e-6, "3\u00d710⁻⁶")],
)
def test_powers_of_ten_are_plain_text(value: float, label: str) -> None:
    assert power_of_ten(value) == label


def drawn_labels(figure: Figure, axis: str) -> list[str]:
    figure.canvas.draw()
    target = figure.axes[0].xaxis if axis == "x" else figure.axes[0].yaxis
    low, high = sorted(target.get_view_interval())
    return [tick.label1.get_text() for tick in target.get_major_ticks() if low <= tick.get_loc() <= high]


@pytest.mark.parametrize("span", [(9e12, 1.9e13), (1e5, 8e6), (1e3, 1e6), (1e10, 1e18)])
def test_every_range_of_counts_gets_some_labels_and_not_too_many(span: tuple[float, float]) -> None:
    with house_style():
        figure, (axes,) = new_figure()
        axes.plot(span, [1, 2])
        log_counts(axes)
        labels = drawn_labels(figure, "x")
    assert 2 <= len([label for label in labels if label]) <= 8


def test_losses_get_round_labels() -> None:
    with house_style():
        figure, (axes,) = new_figure()
        axes.plot([1, 2], [2.7, 5.4])
        log_loss(axes)
        labels = drawn_labels(figure, "y")
    assert labels == ["3", "3.5", "4", "4.5", "5", "5.5"]


def test_nothing_is_shaded_where_no_region_lies_beyond_the_data() -> None:
    with house_style():
        _, (axes,) = new_figure()
        axes.plot([1, 10], [1, 2])
        shade_beyond(axes, 100.0)
        assert not axes.texts
        shade_beyond(axes, 5.0)
        assert [text.get_text().strip() for text in axes.texts] == ["extrapolation"]

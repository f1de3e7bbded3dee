"""Ranges of positions cover the context once, and means over them keep its mean."""

import numpy as np
import pytest

from scaling_lab.science.positions import binned, middles, position_bins, range_label


@pytest.mark.parametrize("context", [1, 2, 3, 8, 100, 128, 1024])
def test_ranges_cover_every_position_once(context: int) -> None:
    bins = position_bins(context)
    assert [position for first, last in bins for position in range(first, last + 1)] == list(range(1, context + 1))
    assert len(bins) <= context.bit_length() + 1


def test_means_over_ranges() -> None:
    bins = position_bins(8)
    assert bins == [(1, 1), (2, 2), (3, 4), (5, 8)]
    means = binned(np.arange(1.0, 9.0), bins)
    assert means.tolist() == [1, 2, 3.5, 6.5]
    lengths = np.array([last - first + 1 for first, last in bins])
    assert means @ lengths / 8 == np.arange(1.0, 9.0).mean()


def test_where_ranges_are_drawn_and_what_they_are_called() -> None:
    assert middles([(1, 1), (5, 8)]) == pytest.approx([1, np.sqrt(40)])
    assert [range_label(1, 1), range_label(5, 8)] == ["1", "5 to 8"]

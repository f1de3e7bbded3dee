"""Budgets are the same where they differ by the rounding of steps, and not by a chain of such differences."""

import numpy as np

from scaling_lab.science.grouping import groups_of


def test_groups_do_not_chain() -> None:
    assert groups_of(np.array([1.0, 1.01, 1.9, 2.0, 1.005])).tolist() == [0, 0, 1, 2, 0]
    ladder = np.array([1.015**k for k in range(12)])
    for group in np.unique(groups_of(ladder)):
        members = ladder[groups_of(ladder) == group]
        assert members.max() / members.min() <= 1.02**2

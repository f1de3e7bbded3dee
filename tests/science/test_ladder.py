"""The ladder's rungs: ends and curves of planted runs, minima between the sizes only, noise of runs carried through."""

import numpy as np
import pytest
from tests.science.simulated import EPOCH

from scaling_lab.science.curve_envelope import Curve
from scaling_lab.science.ladder import SizeLosses, losses_of_curve, losses_of_ends, measure_rung, slopes
from scaling_lab.science.laws import Array, hoffmann
from scaling_lab.science.optimum import closed_form_optimum
from scaling_lab.science.refusal import FitRefusedError, RefusalCode

SIZES = np.geomspace(2e8, 3.2e9, 5)
HORIZONS = np.geomspace(4e9, 6.4e10, 5)
RUNS = len(SIZES) * len(HORIZONS)


def matched(sizes: Array = SIZES) -> list[SizeLosses]:
    found = []
    for row, size in enumerate(sizes):
        loss = hoffmann(size, HORIZONS, **EPOCH)
        ends = {row * 5 + i: (float(d), float(value)) for i, (d, value) in enumerate(zip(HORIZONS, loss, strict=True))}
        found.append(losses_of_ends(float(size), ends, RUNS))
    return found


def test_matched_runs_find_the_planted_exponent_and_noise_gives_an_interval() -> None:
    shifts = 0.001 * np.random.default_rng(0).standard_normal((200, RUNS))
    rung = measure_rung(matched(), 6 * SIZES, shifts)
    inside = np.isfinite(rung.params)
    assert inside.sum() >= 5
    true = closed_form_optimum(EPOCH, rung.flops[inside]).params
    assert rung.params[inside] == pytest.approx(true, rel=0.2)
    a, drawn = float(slopes(rung.flops, rung.params[None, :])[0]), slopes(rung.flops, rung.drawn)
    assert a == pytest.approx(0.5126, abs=0.06)
    assert 0.002 < np.nanstd(drawn) < 0.1
    assert np.nanmean(drawn) == pytest.approx(a, abs=0.05)


def test_a_curve_is_read_between_its_points_and_moves_as_one() -> None:
    tokens = np.geomspace(1e9, 1e11, 200)
    curve = Curve(1e9, 6e9 * tokens, tokens, np.asarray(hoffmann(1e9, tokens, **EPOCH)), tokens / 1e11)
    read = losses_of_curve(1e9, curve, shortest=6e9, run=2, runs=4)
    values, weights = read.at(np.array([3e9, 1e10, 5e10]))
    assert np.isnan(values[0])  # below the shortest horizon, less half of it
    assert np.exp(values[1:]) == pytest.approx(hoffmann(1e9, np.array([1e10, 5e10]), **EPOCH), rel=1e-4)
    assert np.allclose(weights, np.tile([0, 0, 1, 0], (3, 1)))


def test_minima_at_an_edge_are_left_out_and_too_few_are_refused() -> None:
    small = SIZES[:3] / 30
    with pytest.raises(FitRefusedError) as caught:
        measure_rung(matched(small), 6 * small, np.zeros((1, RUNS)))
    assert caught.value.code is RefusalCode.EDGE_OPTIMUM
    with pytest.raises(FitRefusedError, match="share no budget") as caught:
        measure_rung(matched()[:2], 6 * SIZES[:2], np.zeros((1, RUNS)))
    assert caught.value.code is RefusalCode.TOO_FEW_POINTS

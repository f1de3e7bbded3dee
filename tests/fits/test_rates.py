"""What sweeps of other studies say of the runs that they share with one."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.fits.planted_reconciliation import Planted, write_study

from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.rates import rate_evidence
from scaling_lab.fits.stage import run_fit
from scaling_lab.fits.sweeps import NEAR_OPTIMAL

LARGEST = 2 * 12 * 64**2  # of the sizes swept in config/studies/tuning.yaml


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder whose study `tuning` found rates that cost much."""
    folder = tmp_path_factory.mktemp("results")
    runs, curves = write_study("tuning", folder / "tables" / "tuning", Planted(noise=0.0002, peak=0.0, rate=0.2))
    (folder / "fits" / "tuning").mkdir(parents=True)
    for name in ("tuning", "learning_rate"):
        run_fit(name, runs, curves, folder / "fits" / "tuning", FitOptions(bootstrap=40))
    return folder


def test_runs_off_their_best_rate_are_named_and_the_largest_size_swept(results: Path) -> None:
    document = json.loads((results / "fits" / "tuning" / "tuning.json").read_text())
    beyond = document["cells"]["beyond"]
    assert beyond
    held = pq.read_table(results / "fits" / "tuning" / "tuning.points.parquet")["run"].to_pylist()
    found = rate_evidence(results, [*held[:20], "a run of no sweep"])
    assert found is not None
    assert found.known == 20
    assert found.off == tuple(sorted(set(beyond) & set(held[:20])))
    assert (found.threshold, found.largest) == (NEAR_OPTIMAL, LARGEST)


def test_without_cells_the_sweeps_speak_for_their_own_runs(results: Path) -> None:
    sizes = json.loads((results / "fits" / "tuning" / "learning_rate.json").read_text())["sizes"]
    off = sizes[0]["off_optimum"]
    assert off
    found = rate_evidence(results, off)
    assert found is not None
    assert found.off == tuple(sorted(off))
    assert found.largest == LARGEST


def test_runs_that_no_sweep_shares_have_no_evidence(results: Path, tmp_path: Path) -> None:
    assert rate_evidence(results, ["another"]) is None
    assert rate_evidence(tmp_path, ["another"]) is None

"""From the paper's grid to its constants: planted losses, through tables and fits as they are."""

import json
from pathlib import Path

import pytest

from scaling_lab.dry_run import read_configuration
from scaling_lab.experiment import Experiment, load_experiment
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.stage import run_fit
from scaling_lab.science.published import PUBLISHED
from scaling_lab.simulator.run import simulate
from scaling_lab.spec import canonical_json
from scaling_lab.tables import collect

REPOSITORY = Path(__file__).parents[2]
OPTIONS = FitOptions(bootstrap=200)


def paper(**changes: object) -> Experiment:
    overlays = [REPOSITORY / "config" / f"{name}.yaml" for name in ("kaplan2020", "planted")]
    return load_experiment(read_configuration(REPOSITORY, overlays) | changes, REPOSITORY / "config" / "studies")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of the paper's grid of sizes and data, with planted losses."""
    folder = tmp_path_factory.mktemp("paper")
    runs = paper(studies=["size_and_data"]).runs
    for run, spec in runs.items():
        (folder / "runs" / run).mkdir(parents=True)
        (folder / "runs" / run / "spec.json").write_text(canonical_json(spec))
        simulate(spec, folder / "runs" / run)
    collect(list(runs), folder / "runs", folder / "runs.parquet", folder / "curves.parquet")
    return folder


@pytest.mark.parametrize("name", ["kaplan", "early_stopped"])
def test_every_constant_of_table_2_lies_in_its_interval(tables: Path, name: str) -> None:
    run_fit(name, tables / "runs.parquet", tables / "curves.parquet", tables / "fits", OPTIONS)
    fit = json.loads((tables / "fits" / f"{name}.json").read_text())
    assert fit["status"] == "ok"
    assert fit["provenance"]["simulated"] is True
    for constant, published in PUBLISHED["kaplan"].values.items():
        interval = fit["parameters"][constant]["interval"]
        assert interval["low"] <= published <= interval["high"], constant
        assert interval["high"] / interval["low"] < (4 if constant.endswith("c") else 1.1), constant


def test_the_paper_s_grid_is_the_paper_s() -> None:
    ladder = [spec for spec in paper(studies=["model_size"]).runs.values() if spec.architecture.n_layer]
    sizes = [spec.architecture.shape.params_non_embedding for spec in ladder]
    assert (min(sizes), max(sizes)) == (768, 1_474_560_000)
    assert {spec.steps for spec in ladder} == {250_000}
    assert {spec.batch_tokens for spec in ladder} == {2**19}
    assert {spec.schedule.warmup_tokens for spec in ladder} == {3000 * 2**19}
    assert {spec.architecture.vocab_size for spec in ladder} == {50257}
    rates = {spec.architecture.shape.params_non_embedding: spec.optimizer.learning_rate for spec in ladder}
    assert rates[768] == pytest.approx(2.312191e-3, rel=1e-3)
    assert rates[84_934_656] == pytest.approx(6.920937e-4, rel=1e-3)

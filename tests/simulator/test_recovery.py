"""From the paper's grid to its constants: planted losses, through tables and fits as they are."""

from pathlib import Path

import pytest
from tests.simulator.paper import fitted, holds, paper, planted_tables

from scaling_lab.fits.options import FitOptions
from scaling_lab.science.published import PUBLISHED

OPTIONS = FitOptions(bootstrap=200)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of the paper's grid of sizes and data, with planted losses."""
    return planted_tables(tmp_path_factory.mktemp("paper"), "size_and_data", "kaplan2020")


@pytest.mark.parametrize("name", ["kaplan", "early_stopped"])
def test_every_constant_of_table_2_lies_in_its_interval(tables: Path, name: str) -> None:
    fit = fitted(tables, OPTIONS, name)[name]
    assert fit["status"] == "ok"
    assert fit["provenance"]["simulated"] is True
    for constant, published in PUBLISHED["kaplan"].values.items():
        interval = fit["parameters"][constant]["interval"]
        assert holds(fit["parameters"][constant], published), constant
        assert interval["high"] / interval["low"] < (4 if constant.endswith("c") else 1.1), constant


def test_the_paper_s_grid_is_the_paper_s() -> None:
    ladder = [spec for spec in paper(studies=["model_size"]).runs.values() if spec.architecture.n_layer]
    sizes = [spec.architecture.shape.params_non_embedding for spec in ladder]
    assert (min(sizes), max(sizes)) == (768, 1_474_560_000)
    assert {spec.steps for spec in ladder} == {250_000}
    assert {spec.data_tokens for spec in ladder} == {22_000_000_000}  # six passes over the text
    assert {spec.batch_tokens for spec in ladder} == {2**19}
    assert {spec.schedule.warmup_tokens for spec in ladder} == {3000 * 2**19}
    assert {spec.architecture.vocab_size for spec in ladder} == {50257}
    rates = {spec.architecture.shape.params_non_embedding: spec.optimizer.learning_rate for spec in ladder}
    assert rates[768] == pytest.approx(2.312191e-3, rel=1e-3)
    assert rates[84_934_656] == pytest.approx(6.920937e-4, rel=1e-3)

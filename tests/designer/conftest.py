"""A finished SIMULATED study of tests/figures, with the configuration that it belongs to."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from scaling_lab.config import PlanConfig, TrainingConfig
from scaling_lab.fits.backtest import run_backtest
from scaling_lab.fits.noise import run_noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.plan import make_plan
from scaling_lab.fits.stage import run_fit

SIMULATED = Path(__file__).parents[1] / "figures" / "simulated.py"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository's config/ and results/, the study `simulated` finished."""
    top = tmp_path_factory.mktemp("designer")
    spec = importlib.util.spec_from_file_location("simulated_study", SIMULATED)
    assert spec is not None
    assert spec.loader is not None
    simulated = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(simulated)
    study = simulated.study_config(fits=["hoffmann"])
    (top / "config" / "studies").mkdir(parents=True)
    config = {"transfer": ["wiki", "hansard"], "studies": ["simulated"]}
    (top / "config" / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    raw = study.model_dump(mode="json", exclude_none=True)
    (top / "config" / "studies" / "simulated.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    results = top / "results"
    simulated.write_tables(results, study)
    _finish(results, FitOptions(**study.fit.model_dump()))
    return top


def _finish(results: Path, options: FitOptions) -> None:
    runs = results / "tables" / "simulated" / "runs.parquet"
    plans = results / "plans" / "simulated"
    run_fit("hoffmann", runs, runs.with_name("curves.parquet"), results / "fits" / "simulated", options)
    run_backtest(runs, plans / "backtest.json", options)
    run_noise(runs, plans / "noise.json", options)
    make_plan(runs, results / "fits" / "simulated", plans / "backtest.json", plans / "plan.json", PlanConfig(),
              TrainingConfig())  # fmt: skip

"""Every study that ships goes through every stage of the analysis, with planted losses in the place of trained ones."""

import json
from pathlib import Path

import pytest

from scaling_lab.dry_run import read_configuration
from scaling_lab.experiment import Experiment, load_experiment
from scaling_lab.fits.backtest import run_backtest
from scaling_lab.fits.noise import run_noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.plan import make_plan
from scaling_lab.fits.stage import run_fit
from scaling_lab.simulator.run import simulate
from scaling_lab.spec import canonical_json
from scaling_lab.tables import collect

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
OPTIONS = FitOptions(bootstrap=20)


def load(scale: str) -> Experiment:
    overlays = [REPOSITORY / "config" / f"{name}.yaml" for name in (scale, "planted")]
    return load_experiment(read_configuration(REPOSITORY, overlays), REPOSITORY / "config" / "studies")


@pytest.mark.parametrize("scale", ["cpu", "kaplan2020"])
def test_studies_are_fitted_tested_and_planned(scale: str, tmp_path: Path) -> None:
    experiment = load(scale)
    for run, spec in experiment.runs.items():
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(canonical_json(spec))
        simulate(spec, folder)
    for name, study in experiment.studies.items():
        folder = tmp_path / name
        runs, curves = folder / "runs.parquet", folder / "curves.parquet"
        collect(list(experiment.study_runs[name]), tmp_path / "runs", runs, curves)
        for fit in study.fits:
            run_fit(fit, runs, curves, folder, OPTIONS)
        run_backtest(runs, folder / "backtest.json", OPTIONS)
        run_noise(runs, folder / "noise.json", OPTIONS)
        training = experiment.settings[name].training
        make_plan(runs, folder, folder / "backtest.json", folder / "plan.json", study.plan, training)
        expected = {"ok"} if {"kaplan", "hoffmann", "isoflop"} & set(study.fits) else {"refused"}
        assert {budget["status"] for budget in json.loads((folder / "plan.json").read_text())["budgets"]} == expected
    surface = json.loads((tmp_path / "size_and_data" / "kaplan.json").read_text())
    assert surface["status"] == "ok"

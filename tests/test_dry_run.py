"""The cost of an experiment: shared runs once, done runs told apart, overlays as Snakemake merges them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from scaling_lab.config import Config, StudyConfig, parse_config
from scaling_lab.dry_run import dry_run, machine_of, measured_speed, read_configuration, study_costs
from scaling_lab.errors import ConfigError
from scaling_lab.experiment import Experiment
from scaling_lab.progress import START_UP_FLOPS, training_tasks, work
from scaling_lab.science.hardware import Hardware
from scaling_lab.spec import RunSpec, canonical_json

REPOSITORY = Path(__file__).parents[1]
SMALL = {"shapes": [[1, 8], [1, 16]], "tokens": [100_000]}
LARGE = {"shapes": [[1, 16], [2, 32]], "tokens": [100_000]}


def experiment(**grids: list[dict[str, Any]]) -> Experiment:
    config = parse_config(Config, {"studies": list(grids)}, "config")
    raw = {"question": "What does it cost?", "fits": [], "figures": []}
    studies = {name: parse_config(StudyConfig, raw | {"grid": grid}, name) for name, grid in grids.items()}
    return Experiment(config, studies, dict.fromkeys(studies, config))


def finish(spec: RunSpec, results: Path, wall_s: float) -> None:
    folder = results / "runs" / spec.run_id
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(canonical_json(spec))
    (folder / "summary.json").write_text(json.dumps({"wall_s": wall_s}))


def test_shared_runs_count_once_and_done_runs_are_told(tmp_path: Path) -> None:
    both = experiment(small=[SMALL], large=[LARGE])
    finish(next(iter(both.runs.values())), tmp_path, 1.0)
    counts = [(len(c.runs), c.shared, len(c.done), len(c.left)) for c in study_costs(both, tmp_path)]
    assert counts == [(2, 0, 1, 1), (2, 1, 0, 2), (3, 0, 1, 2)]


def test_the_machine_is_measured_by_trained_runs_alone(tmp_path: Path) -> None:
    specs = list(experiment(small=[SMALL]).runs.values())
    for spec in specs:
        finish(spec, tmp_path, (work(spec.flops("matmul"), spec.tokens) - START_UP_FLOPS) / 3e10)
        finish(spec.model_copy(update={"simulate": "kaplan2020"}), tmp_path, 0.0)
    speed, count = measured_speed(tmp_path)
    assert (speed, count) == (pytest.approx(3e10), 2)
    (task, _) = training_tasks(specs)
    assert machine_of(None, tmp_path, Config()).seconds(task) == pytest.approx(task.work / 3e10)


def test_epochs_are_told_where_text_is_read_more_than_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    overlay = tmp_path / "paper.yaml"
    overlay.write_text("studies: [model_size]\n")
    paper = REPOSITORY / "config" / "kaplan2020.yaml"
    dry_run(REPOSITORY, [paper, overlay], tmp_path, None)
    assert "Epochs, unless a run stops early: 2.2e+10 tokens up to 5.96 times." in capsys.readouterr().out
    overlay.write_text("studies: [model_size]\n")
    dry_run(REPOSITORY, [overlay], tmp_path, None)
    assert "Epochs" not in capsys.readouterr().out


def test_without_runs_or_device_the_assumption_is_named(tmp_path: Path) -> None:
    machine = machine_of(None, tmp_path, Config())
    assert machine.flops_per_s == Config().resources.flops_per_second
    assert "no run is finished here and no --device is named" in machine.name


def test_a_device_takes_its_flops_over_its_share_of_the_peak(tmp_path: Path) -> None:
    spec = next(iter(experiment(small=[SMALL]).runs.values()))
    (task,) = training_tasks([spec])
    machine = machine_of(Hardware(1e15, "given", 0.5, 8), tmp_path, Config())
    assert (machine.seconds(task), machine.jobs) == (spec.flops("matmul") / 5e14, 8)


@pytest.mark.parametrize("names", [["smoke"], ["smoke", "planted"], ["planted", "smoke"]])
def test_overlays_merge_as_snakemake_merges_them(names: list[str]) -> None:
    overlays = [REPOSITORY / "config" / f"{name}.yaml" for name in names]
    expected = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    for path in overlays:
        update_config(expected, yaml.safe_load(path.read_text()))
    assert read_configuration(REPOSITORY, overlays) == expected


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml: no such file"):
        read_configuration(REPOSITORY, [tmp_path / "none.yaml"])
    with pytest.raises(ConfigError, match=r"config/config.yaml: no such file; run in the clone"):
        read_configuration(tmp_path, [])
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(ConfigError, match=r"list.yaml: must be a mapping, not list"):
        read_configuration(REPOSITORY, [tmp_path / "list.yaml"])
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"broken.yaml: is not YAML"):
        read_configuration(REPOSITORY, [tmp_path / "broken.yaml"])
    (tmp_path / "typo.yaml").write_text("studys: [smoke]")
    with pytest.raises(ConfigError, match="config: studys: unknown key"):
        dry_run(REPOSITORY, [tmp_path / "typo.yaml"], tmp_path, None)


def test_what_is_simulated_and_what_text_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my.yaml").write_text("corpus: {name: mine, paths: [/nowhere/*.txt]}")
    overlays = [REPOSITORY / "config" / "smoke.yaml", tmp_path / "my.yaml"]
    dry_run(REPOSITORY, overlays, tmp_path, Hardware(312e12, "given"))
    said = capsys.readouterr().out
    assert "corpus.paths: '/nowhere/*.txt' matches no" in said
    assert "SIMULATED" not in said
    dry_run(REPOSITORY, [*overlays, REPOSITORY / "config" / "planted.yaml"], tmp_path, None)
    assert "SIMULATED by kaplan2020" in capsys.readouterr().out


def test_five_thousand_runs_take_seconds(tmp_path: Path) -> None:
    grid = [{"shapes": [[2, 8 * k] for k in range(1, 51)], "tokens": [10_000 * k for k in range(1, 101)]}]
    began = time.process_time()
    costs = study_costs(experiment(many=grid), tmp_path)
    assert len(costs[-1].runs) == 5000
    assert time.process_time() - began < 5

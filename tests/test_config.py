import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from scaling_lab.config import Config, StudyConfig, parse_config
from scaling_lab.configdocs import documents
from scaling_lab.datasets import source_id
from scaling_lab.dry_run import read_configuration
from scaling_lab.errors import ConfigError
from scaling_lab.experiment import load_experiment, load_study
from scaling_lab.grid_shapes import ShapeConfig

REPOSITORY = Path(__file__).parents[1]
STUDIES = REPOSITORY / "config" / "studies"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"trainning": {}}, "config: trainning: unknown key"),
        ({"training": {"contxt": 1}}, "config: training.contxt: unknown key"),
        ({"training": {"context": 1}}, r"training.context: .*greater than or equal to 2 \(got 1\)"),
        (
            {"corpus": "pros"},
            "corpus: 'pros' is not one of prose, technical, sample; your own text is a mapping with `paths`",
        ),
        ({"corpus": {"name": "mine"}}, "corpus: give `sources` .* or `paths`"),
        ({"corpus": {"name": "My Text", "paths": ["a"]}}, "corpus.name: .*pattern"),
        ({"tokenizer": {"kind": "bpe", "vocab_size": 12}}, "tokenizer.vocab_size: .*257"),
        ({"training": {"learning_rate": {"coefficient": float("nan")}}}, "learning_rate.coefficient: .*finite"),
        ({"devices": 0}, r"devices: .*greater than or equal to 1 \(got 0\)"),
        ({"nodes": 0}, r"nodes: .*greater than or equal to 1 \(got 0\)"),
        ({"devices": 2, "resources": {"gpus": 1}}, r"resources.gpus: 1 GPUs are asked for and devices: 2 are used"),
        ({"strategy": "ddpp"}, "strategy: .*'auto', 'ddp' or 'fsdp'"),
        ({"training": {"micro_batches": 0}}, "training.micro_batches: .*greater than or equal to 1"),
        ({"training": {"stopping": {"patience": 3}}}, "training.stopping.every_tokens: Field required"),
        ({"studies": []}, "studies: .*at least 1"),
    ],
)
def test_bad_keys_are_named_with_path_and_value(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(Config, raw, "config")


def test_a_block_takes_tokens_or_budgets() -> None:
    block: dict[str, Any] = {"shapes": [[1, 8]], "tokens": [1000], "budgets": [1e9]}
    study: dict[str, Any] = {"question": "Is this refused?", "grid": [block], "fits": ["params"], "figures": []}
    with pytest.raises(ConfigError, match=r"x.yaml: grid.0: give either `tokens` or `budgets`"):
        parse_config(StudyConfig, study, "x.yaml")
    block |= {"budgets": [], "unique_tokens": [0]}
    with pytest.raises(ConfigError, match=r"x.yaml: grid.0: unique_tokens are positive, not 0"):
        parse_config(StudyConfig, study, "x.yaml")


def test_devices_that_cannot_share_a_batch_are_named_at_parse_time() -> None:
    with pytest.raises(ConfigError, match=r"devices: 7 do not divide the \d+ sequences of a batch of run L1d8"):
        load_experiment({"devices": 7, "studies": ["smoke"]}, STUDIES)
    message = r"nodes: 2 with devices: 7 each do not divide the \d+ sequences"
    with pytest.raises(ConfigError, match=message):
        load_experiment({"nodes": 2, "devices": 7, "studies": ["smoke"]}, STUDIES)


def test_an_unknown_study_is_named_beside_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"studies: 'defaul' is not one of batch_size, .*, default, .*, vocabulary"):
        load_experiment({"studies": ["defaul"]}, STUDIES)


def test_a_scale_holds_the_keys_that_differ_and_lacks_no_study_silently(tmp_path: Path) -> None:
    (tmp_path / "huge").mkdir()
    base = {"question": "Does a scale replace the grid?", "fits": ["params"], "figures": []}
    grids = {name: [{"shapes": [shape], "tokens": [1000]}] for name, shape in (("small", [1, 8]), ("huge", [2, 64]))}
    (tmp_path / "a.yaml").write_text(json.dumps(base | {"grid": grids["small"]}))
    (tmp_path / "b.yaml").write_text(json.dumps(base | {"grid": grids["small"]}))
    (tmp_path / "huge" / "a.yaml").write_text(json.dumps({"grid": grids["huge"]}))
    study = load_study(tmp_path, "a", "huge")
    (shape,) = study.grid[0].shapes
    assert (study.question, shape) == (base["question"], ShapeConfig(n_layer=2, d_model=64))
    assert load_study(tmp_path, "a").grid[0].shapes == (ShapeConfig(n_layer=1, d_model=8),)
    with pytest.raises(ConfigError, match=r"studies: 'b' is not one of a \(files of .*huge\)"):
        load_study(tmp_path, "b", "huge")


@pytest.mark.parametrize("overlay", ["config", "smoke", "cpu", "gpu", "kaplan2020", "chinchilla_cpu", "chinchilla2022"])
def test_every_configuration_that_ships_expands_to_runs(overlay: str) -> None:
    raw = read_configuration(REPOSITORY, [REPOSITORY / "config" / f"{overlay}.yaml"])
    experiment = load_experiment(raw, STUDIES)
    assert all(experiment.study_runs[name] for name in experiment.config.studies)


def test_studies_at_cpu_scale_share_their_cells() -> None:
    runs = load_experiment(read_configuration(REPOSITORY, [REPOSITORY / "config" / "cpu.yaml"]), STUDIES)
    assert set(runs.study_runs["transfer"]) <= {*runs.study_runs["model_size"], *runs.study_runs["size_and_data"]}
    assert len(runs.runs) < 0.8 * sum(map(len, runs.study_runs.values()))


def test_own_files_are_found_in_order_and_missing_ones_named(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "notes.md"):
        (tmp_path / name).write_text("text")
    own = load_experiment({"corpus": {"name": "mine", "paths": [str(tmp_path)]}}, STUDIES)
    assert own.texts == {source_id(own.config.corpus): [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]}
    with pytest.raises(ConfigError, match=r"corpus.paths: '.*c\*.txt' matches no .txt"):
        _ = load_experiment({"corpus": {"name": "mine", "paths": [str(tmp_path / "c*.txt")]}}, STUDIES).texts


@pytest.mark.parametrize("name", documents())
def test_generated_documents_are_in_step(name: str) -> None:
    assert (REPOSITORY / name).read_text(encoding="utf-8") == documents()[name], "run `make docs`"


@pytest.mark.parametrize("overlay", ["config.yaml", "smoke.yaml"])
def test_shipped_configurations_expand(overlay: str) -> None:
    raw = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    raw |= yaml.safe_load((REPOSITORY / "config" / overlay).read_text())
    assert load_experiment(raw, STUDIES).runs


def test_default_study_spans_what_it_promises() -> None:
    """At least 30 runs; 2.5 decades of parameters, 1.5 of tokens, 3 of compute."""
    runs = load_experiment({}, STUDIES).runs.values()

    def span(values: list[float]) -> float:
        return max(values) / min(values)

    assert len(runs) >= 30
    assert span([spec.architecture.shape.params_non_embedding for spec in runs]) >= 10**2.5
    assert span([spec.tokens for spec in runs]) >= 10**1.5
    assert span([spec.flops("matmul") for spec in runs]) >= 10**3

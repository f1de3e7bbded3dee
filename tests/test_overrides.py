"""What a study, or a cell of its grid, may say differently from the configuration."""

from typing import Any

import pytest

from scaling_lab.config import Config, GridBlock, StudyConfig, parse_config
from scaling_lab.errors import ConfigError
from scaling_lab.grid import expand_study, study_datasets
from scaling_lab.overrides import merged, recipes, study_settings

CONFIG = parse_config(Config, {"transfer": ["wiki"], "tokenizer": {"vocab_size": 2048}}, "config")
BLOCK = {"shapes": [[1, 8]], "tokens": [100_000]}


def study(**raw: Any) -> StudyConfig:
    whole = {"question": "What may a study change?", "grid": [BLOCK], "fits": ["params"], "figures": []} | raw
    return parse_config(StudyConfig, whole, "test.yaml")


def settings(**raw: Any) -> Config:
    return study_settings(study(**raw), CONFIG, "test.yaml")


def test_a_study_that_says_nothing_leaves_the_configuration() -> None:
    assert settings() == CONFIG


def test_keys_of_a_study_replace_theirs_and_leave_the_others() -> None:
    own = settings(
        corpus="technical",
        transfer=[],
        tokenizer={"kind": "bytes"},
        training={"dropout": 0.1, "optimizer": {"beta2": 0.95}},
    )
    assert (own.corpus.name, own.transfer, own.tokenizer.kind) == ("technical", (), "bytes")
    assert own.tokenizer.vocab_size == 2048
    assert (own.training.dropout, own.training.optimizer.beta2) == (0.1, 0.95)
    assert own.training.optimizer.clip_norm == CONFIG.training.optimizer.clip_norm
    assert own.training.context == CONFIG.training.context


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"training": {"dropuot": 0.1}}, "test.yaml: training.dropuot: unknown key"),
        ({"training": {"context": 1}}, r"test.yaml: training.context: .*greater than or equal to 2 \(got 1\)"),
        ({"tokenizer": {"vocab_size": 3}}, "test.yaml: tokenizer.vocab_size: .*257"),
        ({"corpus": "pros"}, "test.yaml: corpus: 'pros' is not one of prose, technical, sample"),
    ],
)
def test_a_bad_key_of_a_study_is_named_by_its_path(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**raw)


def vary(**values: list[Any]) -> list[Config]:
    return list(
        recipes(
            GridBlock.model_validate({**BLOCK, "vary": {k.replace("__", "."): v for k, v in values.items()}}), CONFIG
        )
    )


def test_a_block_varies_text_tokenizer_and_recipe() -> None:
    found = vary(corpus=["prose", "technical"], tokenizer__vocab_size=[512, 1024], dropout=[0.0, 0.1])
    assert len(found) == 8
    assert {(c.corpus.name, c.tokenizer.vocab_size, c.training.dropout) for c in found} == {
        (name, size, dropout) for name in ("prose", "technical") for size in (512, 1024) for dropout in (0.0, 0.1)
    }


def test_a_varied_corpus_is_no_text_to_transfer_to() -> None:
    block = GridBlock.model_validate({**BLOCK, "vary": {"corpus": ["prose", "technical"]}})
    settings = parse_config(Config, {"transfer": ["wiki", "awsdocs"]}, "test")
    assert [c.transfer for c in recipes(block, settings)] == [("wiki", "awsdocs"), ("wiki",)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dropuot": [0.1]}, "vary.dropuot: not a key of `training`, nor `corpus` or a key of `tokenizer`"),
        ({"dropout.rate": [0.1]}, "vary.dropout.rate: not a key"),
        ({"tokenizer.size": [512]}, "vary.tokenizer.size: not a key"),
        ({"transfer": [["wiki"]]}, "vary.transfer: not a key"),
        ({"corpus": ["pros"]}, "vary: corpus: 'pros' is not one of"),
        ({"dropout": [2]}, "vary: training.dropout: .*less than 1"),
    ],
)
def test_what_cannot_vary_is_named(values: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        vary(**values)


def test_three_vocabularies_are_three_datasets_and_the_runs_know_theirs() -> None:
    grid = [{**BLOCK, "vary": {"tokenizer.vocab_size": [512, 1024, 4096]}}]
    three = study(grid=grid)
    datasets = study_datasets(three, CONFIG)
    runs = list(expand_study("test", three, CONFIG).values())
    assert [run.dataset for run in runs] == list(datasets)
    assert [run.architecture.vocab_size for run in runs] == [512, 1024, 4096]
    assert [data.tokenizer.vocab_size for data in datasets.values()] == [512, 1024, 4096]


def test_studies_of_equal_settings_share_their_runs() -> None:
    own = expand_study("a", study(), settings(tokenizer={"vocab_size": 512}))
    varied = study(grid=[{**BLOCK, "vary": {"tokenizer.vocab_size": [512]}}])
    assert own == expand_study("b", varied, CONFIG)


def test_overlays_merge_mapping_by_mapping() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merged(base, {"a": {"c": 4}, "e": {"f": 5}}) == {"a": {"b": 1, "c": 4}, "d": 3, "e": {"f": 5}}
    assert merged(base, {"a": "text"}) == {"a": "text", "d": 3}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}

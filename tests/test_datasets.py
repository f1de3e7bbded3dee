from typing import Any

import pytest

from scaling_lab.config import Config, CorpusConfig, parse_config
from scaling_lab.datasets import corpus_id, dataset_id, evaluation_sets, source_id, source_ids


def settings(**raw: Any) -> Config:
    return parse_config(Config, raw, "config")


def test_dataset_id_depends_on_text_and_tokenizer_and_on_nothing_else() -> None:
    same = settings(training={"context": 64}, studies=["smoke"], threads=2)
    others = [{"transfer": ["wiki"]}, {"split": {"salt": "x"}}, {"tokenizer": {"kind": "bytes"}}, {"corpus": "sample"}]
    assert dataset_id(same) == dataset_id(settings())
    assert len({dataset_id(settings(**raw)) for raw in ({}, *others)}) == 5


def test_the_ids_of_stores_that_users_have_are_pinned() -> None:
    default = settings(transfer=["wiki", "hansard", "cookbook", "awsdocs"])
    assert dataset_id(default) == "prose-bpe1024-3aaa22db"
    assert corpus_id(default) == "prose-7e433acb"


def test_tokenizers_share_a_corpus_and_a_split_does_not() -> None:
    assert corpus_id(settings(tokenizer={"vocab_size": 512})) == corpus_id(settings())
    assert corpus_id(settings(split={"salt": "x"})) != corpus_id(settings())


@pytest.mark.parametrize("law", ["kaplan2020", "kaplan2020_table5"])
def test_a_simulated_dataset_cannot_be_taken_for_a_real_one(law: str) -> None:
    simulated = dataset_id(settings(simulate=law))
    assert simulated.startswith(f"simulated-{law}-bpe1024-")
    assert simulated.split("-")[-1] != dataset_id(settings()).split("-")[-1]


def test_own_files_have_a_folder_of_their_own_beside_the_built_in_texts() -> None:
    mixed = CorpusConfig(name="mine", sources=("sotu",), paths=("a.txt",))
    assert source_ids(mixed) == ("sotu", source_id(mixed))
    assert source_ids(settings().corpus) == ("sotu", "books")


def test_evaluation_sets_are_the_splits_then_the_transfer_texts() -> None:
    assert evaluation_sets(settings(transfer=["wiki"])) == ("validation", "test", "unseen", "wiki")
    assert evaluation_sets(settings(corpus="sample")) == ("validation", "test")

"""Tokenizers: exact round trips, the same ids as Hugging Face, the same file every time."""

import json
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as HFTokenizer

from scaling_lab.corpus.tokenizers import Tokenizer, load_tokenizer, read_split, train_tokenizer
from scaling_lab.errors import CorpusError

UNICODE = st.text(max_size=60) | st.lists(
    st.sampled_from(["<|endoftext|>", "<|", "it's", "  ", "\n", "1790", "\u00e9", "\U0001f600", "\0"])
).map("".join)


@pytest.fixture(scope="module")
def bpe(sample_tokenizer: Path) -> Tokenizer:
    return load_tokenizer(sample_tokenizer)


@pytest.fixture(scope="module")
def by_bytes(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("bytes") / "tokenizer.json"
    train_tokenizer(path, path, kind="bytes", vocab_size=257)
    return load_tokenizer(path)


@given(text=UNICODE)
def test_bpe_round_trip_never_meets_end_of_text(text: str, bpe: Tokenizer) -> None:
    (ids,) = bpe.encode([text])
    assert bpe.decode(ids) == text
    assert bpe.end_of_text not in ids
    assert ids.dtype == np.uint32
    assert all(ids < bpe.vocab_size)


@given(text=UNICODE)
def test_byte_ids_are_the_bytes(text: str, by_bytes: Tokenizer) -> None:
    assert bytes(by_bytes.encode([text])[0].tolist()) == text.encode()
    assert by_bytes.decode(by_bytes.encode([text])[0]) == text


def test_kinds_and_sizes(bpe: Tokenizer, by_bytes: Tokenizer) -> None:
    assert (bpe.name, bpe.vocab_size, bpe.end_of_text) == ("bpe", 512, 0)
    assert (by_bytes.name, by_bytes.vocab_size, by_bytes.end_of_text) == ("bytes", 257, 256)


def test_ids_equal_those_of_hugging_face(block_file: Path, sample_tokenizer: Path, bpe: Tokenizer) -> None:
    reference = HFTokenizer.from_file(str(sample_tokenizer))
    texts = [*read_split(block_file, "test"), *read_split(block_file, "unseen")]
    texts.append("caf\u00e9 \u4e2d\n\n  \U0001f600")
    assert len(texts) > 10
    for text, ids in zip(texts, bpe.encode(texts), strict=True):
        assert ids.tolist() == reference.encode(text).ids


def test_training_is_deterministic_and_sees_the_train_split_only(
    block_file: Path, sample_tokenizer: Path, tmp_path: Path
) -> None:
    train_tokenizer(block_file, tmp_path / "again.json", kind="bpe", vocab_size=512)
    assert (tmp_path / "again.json").read_bytes() == sample_tokenizer.read_bytes()
    table = pq.read_table(block_file)
    pq.write_table(table.filter(pc.equal(table["split"], "train")), tmp_path / "train.parquet")
    train_tokenizer(tmp_path / "train.parquet", tmp_path / "train.json", kind="bpe", vocab_size=512)
    assert (tmp_path / "train.json").read_bytes() == sample_tokenizer.read_bytes()


@pytest.mark.parametrize(
    ("kind", "vocab_size", "message"),
    [
        ("word", 1000, "kind 'word' is unknown; choose one of bytes, bpe, gpt2"),
        ("bytes", 256, "vocab_size is 256, this kind has 257"),
        ("gpt2", 1024, "vocab_size is 1024, this kind has 50257"),
        ("bpe", 256, "vocab_size is 256, expected at least 257"),
        ("bpe", 500_000, r"the train split yields a vocabulary of \d+ tokens, not 500000"),
    ],
)
def test_impossible_tokenizers(kind: str, vocab_size: int, message: str, block_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=message):
        train_tokenizer(block_file, tmp_path / "t.json", kind=kind, vocab_size=vocab_size)
    assert list(tmp_path.iterdir()) == []


def test_missing_blocks_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"blocks\.parquet: is not a readable"):
        train_tokenizer(tmp_path / "blocks.parquet", tmp_path / "t.json", kind="bpe", vocab_size=512)


@pytest.mark.parametrize("vocab", [{}, {"<|endoftext|>": 7}, {"<|endoftext|>": 0, "\u4e2d": 1}])
def test_foreign_tokenizer_is_named(vocab: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps({"model": {"vocab": vocab}}))
    with pytest.raises(CorpusError, match=r"t\.json: is not a byte-level tokenizer\.json"):
        load_tokenizer(tmp_path / "t.json")


@pytest.mark.network
def test_gpt2_is_the_original(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    train_tokenizer(path, path, kind="gpt2", vocab_size=50257)
    gpt2 = load_tokenizer(path)
    assert gpt2.encode(["Hello world"])[0].tolist() == [15496, 995]
    assert (gpt2.name, gpt2.vocab_size, gpt2.end_of_text) == ("gpt2", 50257, 50256)
    text = "caf\u00e9 \u4e2d\u6587 <|endoftext|> it's 1790\n\n  x"
    assert gpt2.decode(gpt2.encode([text])[0]) == text
    plain = "caf\u00e9 \u4e2d\u6587 it's 1790\n\n  x"
    assert gpt2.encode([plain])[0].tolist() == HFTokenizer.from_file(str(path)).encode(plain).ids

"""Token shards: what is written is what is read, and damage is named."""

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_lab.corpus.shards import to_dtype, token_dtype, tokenize
from scaling_lab.corpus.store import TokenStore, subset
from scaling_lab.corpus.tokenizers import load_tokenizer, read_split
from scaling_lab.errors import CorpusError

SPLITS = ["train", "validation", "test", "unseen"]


@pytest.fixture(scope="module")
def store(sample_tokens: Path) -> TokenStore:
    return TokenStore(sample_tokens)


@pytest.fixture
def copy(sample_tokens: Path, tmp_path: Path) -> Path:
    """A copy of the shards that a test may damage."""
    shutil.copytree(sample_tokens.parent, tmp_path / "tokens")
    return tmp_path / "tokens" / "manifest.json"


def manifest_of(sample_tokens: Path) -> dict[str, Any]:
    return dict(json.loads(sample_tokens.read_text()))


@pytest.mark.parametrize("split", SPLITS)
def test_documents_decode_to_the_blocks(
    split: str, block_file: Path, sample_tokenizer: Path, store: TokenStore
) -> None:
    tokenizer = load_tokenizer(sample_tokenizer)
    stream = store.read(split, 0, store.tokens(split))
    ends = store.document_ends(split).astype(int)
    assert ends[-1] == len(stream)
    assert all(stream[ends - 1] == tokenizer.end_of_text)
    starts = [0, *ends[:-1]]
    decoded = [tokenizer.decode(stream[start : end - 1]) for start, end in zip(starts, ends, strict=True)]
    assert decoded == list(read_split(block_file, split))


def test_manifest_describes_every_set(sample_tokens: Path, store: TokenStore) -> None:
    manifest = manifest_of(sample_tokens)
    assert manifest["vocab_size"] == store.vocab_size == 512
    assert manifest["dtype"] == "uint16"
    assert manifest["tokenizer"]["kind"] == "bpe"
    assert store.sets == [*SPLITS, "transfer"]
    assert len(manifest["sets"]["train"]["shards"]) > 3
    for name, entry in manifest["sets"].items():
        assert entry["tokens"] == store.tokens(name) == sum(shard["tokens"] for shard in entry["shards"])
        assert store.bytes_per_token(name) == entry["bytes"] / entry["tokens"]
        assert all(shard["tokens"] <= 50_000 for shard in entry["shards"])
        assert all("Presidency Project" in source["attribution"] for source in entry["sources"].values())
    assert manifest["sets"]["transfer"]["bytes"] <= 20_000
    store.verify()


def test_transfer_text_shares_no_block_with_train(block_file: Path, sample_tokenizer: Path, store: TokenStore) -> None:
    tokenizer = load_tokenizer(sample_tokenizer)
    transfer = tokenizer.decode(store.read("transfer", 0, store.tokens("transfer"))).split("<|endoftext|>")[:-1]
    assert transfer
    assert not set(transfer) & set(read_split(block_file, "train"))


@given(data=st.data())
def test_windows_across_shards(data: st.DataObject, sample_tokens: Path, store: TokenStore) -> None:
    shards = manifest_of(sample_tokens)["sets"]["train"]["shards"]
    whole = np.concatenate([np.fromfile(sample_tokens.with_name(shard["file"]), "<u2") for shard in shards])
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    window = store.read("train", start, stop)
    assert type(window) is np.ndarray
    assert window.dtype == np.uint16
    np.testing.assert_array_equal(window, whole[start:stop])


def test_two_runs_are_equal(prepare_again: Callable[[Path], Path], sample_tokens: Path, tmp_path: Path) -> None:
    again = prepare_again(tmp_path)
    for path in sample_tokens.parent.iterdir():
        assert path.read_bytes() == (again / "tokens" / path.name).read_bytes()


def test_second_run_with_fewer_shards_leaves_no_old_one(copy: Path, block_file: Path) -> None:
    settings = {"shard_tokens": 10**6, "max_transfer_bytes": 1}
    tokenize(block_file, {}, copy.with_name("tokenizer.json"), copy.parent, **settings)
    expected = {f"{split}-00000{suffix}" for split in SPLITS for suffix in (".bin", ".idx")}
    assert {path.name for path in copy.parent.iterdir()} == expected | {"manifest.json", "tokenizer.json"}


def test_subsets_are_nested(sample_tokens: Path, store: TokenStore, tmp_path: Path) -> None:
    for tokens in (1_000, 60_000):
        subset(sample_tokens, tokens, tmp_path / f"{tokens}.json")
    small, large = (json.loads((tmp_path / f"{tokens}.json").read_text()) for tokens in (1_000, 60_000))
    stream = store.read("train", 0, 60_000)
    assert small["sha256"] == sha256(stream[:1_000])
    assert large["sha256"] == sha256(stream)
    ends = int(np.count_nonzero(stream == store.end_of_text))
    assert (large["set"], large["tokens"], large["documents"]) == ("train", 60_000, ends)
    assert small["documents"] < large["documents"]
    assert small["tokens_manifest_sha256"] == large["tokens_manifest_sha256"]


def sha256(tokens: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(tokens.tobytes()).hexdigest()


@pytest.mark.parametrize("tokens", [0, -1, 10**9])
def test_impossible_subset_tells_how_many_there_are(tokens: int, sample_tokens: Path, tmp_path: Path) -> None:
    total = TokenStore(sample_tokens).tokens("train")
    with pytest.raises(CorpusError, match=rf"{tokens} tokens is asked for, the train stream has {total}"):
        subset(sample_tokens, tokens, tmp_path / "s.json")
    assert list(tmp_path.iterdir()) == []


def test_vocabulary_and_ids_beyond_the_type_raise(copy: Path) -> None:
    assert token_dtype(65536) == np.uint16
    assert token_dtype(65537) == np.uint32
    fits = to_dtype(np.array([65535], np.uint32), np.dtype("<u2"))
    assert fits.tolist() == [65535]
    with pytest.raises(CorpusError, match="token id 65536 does not fit into uint16"):
        to_dtype(np.array([65536], np.uint32), np.dtype("<u2"))
    copy.write_text(copy.read_text().replace('"vocab_size": 512', '"vocab_size": 65537'))
    with pytest.raises(CorpusError, match="uint16 cannot hold a vocabulary of 65537 ids"):
        TokenStore(copy)


def test_missing_and_truncated_shards_are_named(copy: Path) -> None:
    shard = copy.with_name("train-00001.bin")
    data = shard.read_bytes()
    shard.write_bytes(data[:-2])
    message = rf"train-00001\.bin: the shard has {len(data) - 2} bytes, the manifest says {len(data)}"
    with pytest.raises(CorpusError, match=message):
        TokenStore(copy)
    shard.unlink()
    with pytest.raises(CorpusError, match=r"train-00001\.bin: the shard is missing"):
        TokenStore(copy)


def test_changed_shard_fails_verification(copy: Path) -> None:
    shard = copy.with_name("test-00000.bin")
    shard.write_bytes(b"\1\1" + shard.read_bytes()[2:])
    with pytest.raises(CorpusError, match=r"test-00000\.bin: sha256 is"):
        TokenStore(copy).verify()


def test_truncated_index_is_named(copy: Path) -> None:
    copy.with_name("test-00000.idx").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"test-00000\.idx: is missing or cut"):
        TokenStore(copy).document_ends("test")


def test_reading_outside_the_stream(store: TokenStore) -> None:
    total = store.tokens("test")
    with pytest.raises(CorpusError, match=rf"tokens \[0, {total + 1}\) of 'test' are outside its {total} tokens"):
        store.read("test", 0, total + 1)
    with pytest.raises(CorpusError, match="no set 'dev'; it has train, validation"):
        store.tokens("dev")


def test_manifest_of_something_else_is_refused(block_file: Path) -> None:
    with pytest.raises(CorpusError, match="is not a manifest of tokens"):
        TokenStore(block_file.with_name("manifest.json"))


def test_impossible_settings_of_tokenize(
    sample_documents: Path, block_file: Path, sample_tokenizer: Path, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match="shard_tokens is 0"):
        tokenize(block_file, {}, sample_tokenizer, tmp_path, shard_tokens=0, max_transfer_bytes=1)
    clash = {"test": sample_documents}
    with pytest.raises(CorpusError, match="'test' has the name of a split"):
        tokenize(block_file, clash, sample_tokenizer, tmp_path, shard_tokens=9, max_transfer_bytes=1)


def test_pickle_holds_the_path_not_the_tokens(store: TokenStore) -> None:
    data = pickle.dumps(store)
    assert len(data) < 1_000
    np.testing.assert_array_equal(pickle.loads(data).read("train", 5, 50), store.read("train", 5, 50))


def test_reading_needs_neither_torch_nor_a_tokenizer() -> None:
    code = "import scaling_lab.corpus.store, sys; print({'torch', 'tiktoken', 'pyarrow'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"

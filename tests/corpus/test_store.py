"""Token shards: what is written is what is read, and damage is named."""

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prepared_sample import Prepared, prepare

from scaling_lab.corpus.shards import to_dtype, token_dtype, tokenize
from scaling_lab.corpus.store import TokenStore, subset
from scaling_lab.corpus.tokenizers import load_tokenizer, read_split
from scaling_lab.errors import CorpusError

SPLITS = ["train", "validation", "test", "unseen"]


@pytest.fixture(scope="module")
def store(prepared: Prepared) -> TokenStore:
    return TokenStore(prepared.tokens)


@pytest.fixture
def copy(prepared: Prepared, tmp_path: Path) -> Path:
    """A copy of the shards that a test may damage."""
    shutil.copytree(prepared.tokens.parent, tmp_path / "tokens")
    return tmp_path / "tokens" / "manifest.json"


def manifest_of(prepared: Prepared) -> dict[str, Any]:
    return dict(json.loads(prepared.tokens.read_text()))


@pytest.mark.parametrize("split", SPLITS)
def test_documents_decode_to_the_blocks(split: str, prepared: Prepared, store: TokenStore) -> None:
    tokenizer = load_tokenizer(prepared.tokenizer)
    stream = store.read(split, 0, store.tokens(split))
    ends = store.document_ends(split).astype(int)
    assert ends[-1] == len(stream) and all(stream[ends - 1] == tokenizer.end_of_text)
    starts = [0, *ends[:-1]]
    decoded = [tokenizer.decode(stream[start : end - 1]) for start, end in zip(starts, ends, strict=True)]
    assert decoded == list(read_split(prepared.blocks, split))


def test_manifest_describes_every_set(prepared: Prepared, store: TokenStore) -> None:
    manifest = manifest_of(prepared)
    assert manifest["vocab_size"] == store.vocab_size == 512 and manifest["dtype"] == "uint16"
    assert manifest["tokenizer"]["kind"] == "bpe" and store.sets == [*SPLITS, "transfer"]
    assert len(manifest["sets"]["train"]["shards"]) > 3
    for name, entry in manifest["sets"].items():
        assert entry["tokens"] == store.tokens(name) == sum(shard["tokens"] for shard in entry["shards"])
        assert store.bytes_per_token(name) == entry["bytes"] / entry["tokens"]
        assert all(shard["tokens"] <= 50_000 for shard in entry["shards"])
        assert all("Presidency Project" in source["attribution"] for source in entry["sources"].values())
    assert manifest["sets"]["transfer"]["bytes"] <= 20_000
    store.verify()


def test_transfer_text_shares_no_block_with_train(prepared: Prepared, store: TokenStore) -> None:
    tokenizer = load_tokenizer(prepared.tokenizer)
    transfer = tokenizer.decode(store.read("transfer", 0, store.tokens("transfer"))).split("<|endoftext|>")[:-1]
    assert transfer and not set(transfer) & set(read_split(prepared.blocks, "train"))


@given(data=st.data())
def test_windows_across_shards(data: st.DataObject, prepared: Prepared, store: TokenStore) -> None:
    whole = np.concatenate(
        [np.fromfile(prepared.tokens.with_name(s["file"]), "<u2") for s in manifest_of(prepared)["sets"]["train"]["shards"]]
    )
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    window = store.read("train", start, stop)
    assert type(window) is np.ndarray and window.dtype == np.uint16
    np.testing.assert_array_equal(window, whole[start:stop])


def test_two_runs_are_equal(prepared: Prepared, tmp_path: Path) -> None:
    again = prepare(tmp_path)
    for path in prepared.tokens.parent.iterdir():
        assert path.read_bytes() == (again.tokens.parent / path.name).read_bytes()


def test_second_run_with_fewer_shards_leaves_no_old_one(copy: Path, prepared: Prepared) -> None:
    settings = {"shard_tokens": 10**6, "max_transfer_bytes": 1}
    tokenize(prepared.blocks, {}, copy.with_name("tokenizer.json"), copy.parent, **settings)
    expected = {f"{split}-00000{suffix}" for split in SPLITS for suffix in (".bin", ".idx")}
    assert {path.name for path in copy.parent.iterdir()} == expected | {"manifest.json", "tokenizer.json"}


def test_subsets_are_nested(prepared: Prepared, store: TokenStore, tmp_path: Path) -> None:
    for tokens in (1_000, 60_000):
        subset(prepared.tokens, tokens, tmp_path / f"{tokens}.json")
    small, large = (json.loads((tmp_path / f"{tokens}.json").read_text()) for tokens in (1_000, 60_000))
    stream = store.read("train", 0, 60_000)
    assert small["sha256"] == sha256(stream[:1_000]) and large["sha256"] == sha256(stream)
    ends = int(np.count_nonzero(stream == store.end_of_text))
    assert (large["set"], large["tokens"], large["documents"]) == ("train", 60_000, ends)
    assert small["documents"] < large["documents"]
    assert small["tokens_manifest_sha256"] == large["tokens_manifest_sha256"]


def sha256(tokens: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(tokens.tobytes()).hexdigest()


@pytest.mark.parametrize("tokens", [0, -1, 10**9])
def test_impossible_subset_tells_how_many_there_are(tokens: int, prepared: Prepared, tmp_path: Path) -> None:
    total = TokenStore(prepared.tokens).tokens("train")
    with pytest.raises(CorpusError, match=rf"{tokens} tokens is asked for, the train stream has {total}"):
        subset(prepared.tokens, tokens, tmp_path / "s.json")
    assert list(tmp_path.iterdir()) == []


def test_vocabulary_and_ids_beyond_the_type_raise(copy: Path) -> None:
    assert token_dtype(65536) == np.uint16 and token_dtype(65537) == np.uint32
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
    with pytest.raises(CorpusError, match=rf"train-00001\.bin: the shard has {len(data) - 2} bytes, .* says {len(data)}"):
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


def test_manifest_of_something_else_is_refused(prepared: Prepared) -> None:
    with pytest.raises(CorpusError, match="is not a manifest of tokens"):
        TokenStore(prepared.blocks.with_name("manifest.json"))


def test_impossible_settings_of_tokenize(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="shard_tokens is 0"):
        tokenize(prepared.blocks, {}, prepared.tokenizer, tmp_path, shard_tokens=0, max_transfer_bytes=1)
    clash = {"test": prepared.documents}
    with pytest.raises(CorpusError, match="'test' has the name of a split"):
        tokenize(prepared.blocks, clash, prepared.tokenizer, tmp_path, shard_tokens=9, max_transfer_bytes=1)


def test_pickle_holds_the_path_not_the_tokens(store: TokenStore) -> None:
    data = pickle.dumps(store)
    assert len(data) < 1_000
    np.testing.assert_array_equal(pickle.loads(data).read("train", 5, 50), store.read("train", 5, 50))


def test_reading_needs_neither_torch_nor_a_tokenizer() -> None:
    code = "import scaling_lab.corpus.store, sys; print({'torch', 'tiktoken', 'pyarrow'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"

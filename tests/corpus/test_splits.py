"""Blocks and splits: disjoint, exhaustive, stable under growth, and free of leaks."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_lab.corpus.documents import Document, read_documents, write_documents
from scaling_lab.corpus.sources import read_sample
from scaling_lab.corpus.splits import (
    Block,
    assign_split,
    block_key,
    cut_blocks,
    read_blocks,
    remove_duplicates,
    sample_blocks,
    split_corpus,
)
from scaling_lab.errors import CorpusError

TEXTS = st.text(st.sampled_from("ab \n\u00e9\u4e2d\U0001f600"), max_size=800)


def write_source(folder: Path, documents: list[Document]) -> Path:
    write_documents(documents, folder, {"name": folder.name, "attribution": f"by {folder.name}"}, {})
    return folder / "documents.parquet"


def split(sources: dict[str, Path], output: Path, **changes: Any) -> list[Block]:
    settings = {"salt": "s", "block_bytes": 1024, "validation_fraction": 0.2, "test_fraction": 0.2, **changes}
    split_corpus(sources, output, **settings)
    return [Block(**row) for row in pq.read_table(output / "blocks.parquet").to_pylist()]


@given(TEXTS, st.integers(64, 200))
def test_blocks_are_short_and_lose_only_whitespace(text: str, block_bytes: int) -> None:
    blocks = cut_blocks(text, block_bytes)
    assert all(0 < len(block.encode()) <= block_bytes and block == block.strip() for block in blocks)
    assert "".join("".join(blocks).split()) == "".join(text.split())


def test_blocks_end_at_paragraphs_where_they_can() -> None:
    paragraphs = [f"{i} " + "word " * 10 + "end" for i in range(20)]
    blocks = cut_blocks("\n\n".join(paragraphs), 200)
    assert "\n\n".join(blocks) == "\n\n".join(paragraphs)
    assert len(blocks) == 7
    assert all(block.endswith("end") for block in blocks)


def test_long_paragraph_is_cut_before_whitespace() -> None:
    words = [f"word{i}" for i in range(100)]
    assert " ".join(cut_blocks(" ".join(words), 100)).split() == words


@given(st.lists(st.tuples(st.sampled_from(["train", "unseen"]), st.integers(0, 9)), max_size=30))
def test_unseen_wins_over_its_duplicates(pairs: list[tuple[str, int]]) -> None:
    kept = remove_duplicates(Block(split, key, "s", "d", str(key)) for split, key in pairs)
    assert {b.key: b.split for b in kept} == {k: "unseen" if ("unseen", k) in pairs else "train" for _, k in pairs}
    assert kept == sorted(kept)
    assert len(kept) == len({key for _, key in pairs})


@pytest.mark.parametrize(("key", "name"), [(0, "validation"), (2**62, "test"), (2**63, "train"), (2**64 - 1, "train")])
def test_lowest_keys_validate(key: int, name: str) -> None:
    assert assign_split(key, 0.25, 0.25) == name


def test_key_ignores_surrounding_space_and_composition_but_not_the_salt() -> None:
    assert block_key(" cafe\u0301\n", "a") == block_key("caf\u00e9", "a") != block_key("caf\u00e9", "b")


def test_splits_are_disjoint_exhaustive_and_sorted(sample_documents: Path, block_file: Path) -> None:
    blocks = [Block(**row) for row in pq.read_table(block_file).to_pylist()]
    assert blocks == sorted(blocks)
    texts = [block.text for block in blocks]
    expected = {p for _, text in read_documents(sample_documents) for p in cut_blocks(text, 4096)}
    assert len(texts) == len(set(texts))
    assert set(texts) == expected
    manifest = json.loads(block_file.with_name("manifest.json").read_text())
    assert {s: m["blocks"] for s, m in manifest["splits"].items()} == {
        s: sum(b.split == s for b in blocks) for s in ("train", "validation", "test", "unseen")
    }
    assert sum(m["bytes"] for m in manifest["splits"].values()) == sum(len(t.encode()) for t in texts)
    assert 0.04 < manifest["splits"]["validation"]["blocks"] / len(blocks) < 0.16


def test_adding_a_source_moves_no_block(tmp_path: Path) -> None:
    sample = read_sample()
    old = write_source(tmp_path / "old", sample[:4])
    new = write_source(tmp_path / "new", sample[4:6])
    before = split({"old": old}, tmp_path / "before")
    after = split({"old": old, "new": new}, tmp_path / "after")
    assert [block for block in after if block.source == "old"] == before
    assert len(after) > len(before)


def test_duplicate_of_a_held_out_document_does_not_leak(tmp_path: Path) -> None:
    sample = read_sample()
    first = write_source(tmp_path / "first", sample[:3])
    copy = write_source(tmp_path / "second", [Document("copy", sample[0].text), sample[4]])
    blocks = split({"first": first, "second": copy}, tmp_path / "out", unseen=["second/copy"])
    unseen = [block for block in blocks if block.split == "unseen"]
    assert {b.document for b in unseen} == {"copy"}
    assert sample[0].id not in {b.document for b in blocks}
    assert [b.text for b in unseen] == sorted(cut_blocks(sample[0].text, 1024), key=lambda t: block_key(t, "s"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["duplicates_removed"] == len(unseen)
    assert manifest["sources"]["second"]["attribution"] == "by second"


def test_two_runs_are_equal_and_the_salt_matters(tmp_path: Path) -> None:
    source = {"s": write_source(tmp_path / "s", read_sample()[:3])}
    split(source, tmp_path / "a")
    split(source, tmp_path / "b")
    split(source, tmp_path / "c", salt="other")
    data = [(tmp_path / name / "blocks.parquet").read_bytes() for name in "abc"]
    assert data[0] == data[1] != data[2]


def test_transfer_sample_is_small_ordered_and_outside_train(tmp_path: Path) -> None:
    documents = write_source(tmp_path / "t", read_sample()[:3])
    every = sorted(read_blocks(documents, "t", "s", 1024))
    excluded = {block.key for block in every[:5]}
    settings = {"salt": "s", "block_bytes": 1024}
    sample = sample_blocks(documents, "t", **settings, max_bytes=20_000, exclude=excluded)  # type: ignore[arg-type]
    assert sample == every[5 : 5 + len(sample)]
    size = sum(len(block.text.encode()) for block in sample)
    assert 20_000 - 1024 < size <= 20_000
    with pytest.raises(CorpusError, match="no block"):
        sample_blocks(documents, "t", salt="s", block_bytes=1024, max_bytes=10, exclude=set())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0, expected 0 <= validation_fraction < 1"),
        ({"test_fraction": -0.1}, "test_fraction is -0.1"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, r"validation_fraction \+ test_fraction is 1.0"),
        ({"block_bytes": 10}, "block_bytes is 10, expected at least 64"),
        ({"salt": "x" * 65}, "longer than 64 bytes"),
        ({"unseen": ["s/nobody"]}, "unseen: no document 's/nobody' in the sources s"),
        ({"block_bytes": 10**9}, "split is empty: 2 blocks of up to 1000000000 bytes are too few"),
    ],
)
def test_impossible_settings_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    source = {"s": write_source(tmp_path / "s", read_sample()[:2])}
    with pytest.raises(CorpusError, match=message):
        split(source, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_missing_or_foreign_documents_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="fetch the source first"):
        split({"s": tmp_path / "documents.parquet"}, tmp_path / "out")
    (tmp_path / "documents.parquet").write_bytes(b"no parquet")
    with pytest.raises(CorpusError, match=r"not a readable documents\.parquet"):
        split({"s": tmp_path / "documents.parquet"}, tmp_path / "out")

"""A user's own text files, and everything that can be wrong with them."""

import gzip
import hashlib
import json
import lzma
from pathlib import Path

import pytest

from scaling_lab.corpus.documents import Document, read_documents
from scaling_lab.corpus.texts import read_texts
from scaling_lab.errors import CorpusError


def read_back(paths: list[str], output: Path) -> list[Document]:
    read_texts("mine", paths, output)
    return list(read_documents(output / "documents.parquet"))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    root = tmp_path / "texts"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n\n")
    (root / "b.txt.gz").write_bytes(gzip.compress("cafe\u0301".encode()))
    (root / "sub" / "c.txt.xz").write_bytes(lzma.compress(b"deep"))
    (root / "notes.md").write_bytes(b"not a text file")
    return root


def test_directory_is_read_recursively_and_normalised(texts: Path, tmp_path: Path) -> None:
    documents = read_back([str(texts)], tmp_path / "out")
    assert documents == [("a.txt", "one\ntwo\nthree"), ("b.txt.gz", "caf\u00e9"), ("sub/c.txt.xz", "deep")]


def test_globs_and_files_are_read_once_in_order(texts: Path, tmp_path: Path) -> None:
    documents = read_back([str(texts / "**" / "*.xz"), str(texts / "a.txt"), str(texts / "*.txt")], tmp_path / "out")
    assert [d.id for d in documents] == ["a.txt", "sub/c.txt.xz"]


def test_manifest_tells_the_origin(texts: Path, tmp_path: Path) -> None:
    read_texts("mine", [str(texts / "notes.md")], tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["name"] == "mine"
    assert manifest["documents"] == 1
    assert manifest["bytes"] == 15
    digest = hashlib.sha256(b"not a text file").hexdigest()
    assert manifest["origin"] == {"files": [{"path": str(texts / "notes.md"), "bytes": 15, "sha256": digest}]}


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.txt", b"", "holds no text"),
        ("blank.txt", b"\xef\xbb\xbf \r\n\n", "holds no text"),
        ("nul.txt", b"abc\x00def", "a binary file: NUL byte at offset 3"),
        ("latin.txt", b"caf\xe9 noir", "not UTF-8 text: byte 0xe9 at offset 3"),
        ("cut.txt.gz", gzip.compress(b"some text " * 99, mtime=0)[:-12], "damaged or truncated"),
        ("cut.txt.xz", lzma.compress(b"some text " * 99)[:-12], "damaged or truncated"),
        ("plain.txt.gz", b"not gzip at all", "damaged or truncated"),
    ],
)
def test_bad_file_is_named(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CorpusError, match=rf"{name}: .*{message}"):
        read_texts("mine", [str(tmp_path / name)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent.txt", "no such file or directory"),
        ("*.text", "the pattern matches no file"),
        ("folder", r"the directory holds no \.txt"),
    ],
)
def test_path_without_files_is_named(path: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CorpusError, match=message) as caught:
        read_texts("mine", [str(tmp_path / path)], tmp_path / "out")
    assert str(tmp_path / path) in str(caught.value)


def test_no_paths_at_all(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no paths are given"):
        read_texts("mine", [], tmp_path / "out")

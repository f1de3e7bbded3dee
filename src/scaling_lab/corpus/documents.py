"""Documents: normalised texts with ids, and the parquet file and manifest that hold them."""

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from scaling_lab.corpus.manifests import write_json
from scaling_lab.errors import CorpusError
from scaling_lab.files import atomic_path

SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("text", pa.string(), nullable=False)])
SEPARATOR = "\n\n\n"


class Document(NamedTuple):
    """One text and its id, unique within its source."""

    id: str
    text: str


def normalize(text: str) -> str:
    """Unix line ends, no byte order mark, NUL or end-of-file (Ctrl-Z) characters, NFC, stripped."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.removeprefix("\ufeff").replace("\x00", "").replace("\x1a", "")
    return unicodedata.normalize("NFC", text).strip()


def documents_sha256(documents: Sequence[Document]) -> str:
    """sha256 of the texts in order, joined by two blank lines, with a final newline."""
    return hashlib.sha256((SEPARATOR.join(text for _, text in documents) + "\n").encode()).hexdigest()


def write_documents(
    documents: Sequence[Document], output: Path, description: Mapping[str, str], origin: Mapping[str, Any]
) -> None:
    """Write `documents.parquet` and `manifest.json` into `output`.

    The manifest holds `description` (name, title, licence, attribution), counts, the sha256 and `origin`.
    """
    columns = [pa.array([d.id for d in documents]), pa.array([d.text for d in documents])]
    with atomic_path(output / "documents.parquet") as temporary:
        pq.write_table(pa.table(columns, schema=SCHEMA), temporary, compression="zstd", row_group_size=4096)
    size = sum(len(d.text.encode()) for d in documents)
    counts = {"documents": len(documents), "bytes": size, "sha256": documents_sha256(documents)}
    write_json(output / "manifest.json", {**description, **counts, "origin": origin})


def read_documents(path: Path) -> Iterator[Document]:
    """Read `documents.parquet` in batches. Raises CorpusError if it is missing, damaged or lacks a column."""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024, columns=["id", "text"]):
                yield from map(Document, batch.column("id").to_pylist(), batch.column("text").to_pylist())
    except FileNotFoundError as error:
        raise CorpusError(f"{path}: no such file; fetch the source first") from error
    except (pa.ArrowException, KeyError, OSError) as error:
        raise CorpusError(f"{path}: is not a readable documents.parquet with columns id, text: {error}") from error

"""Documents into blocks, and blocks into splits, by one keyed hash of their text.

The hash does four jobs: it finds exact duplicates, assigns the split, shuffles globally (order = key) and thereby
makes the first D tokens nested subsets. Everything is held in memory: several times the size of the text.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from scaling_lab.corpus.documents import read_documents
from scaling_lab.corpus.manifests import read_json, write_json
from scaling_lab.errors import CorpusError
from scaling_lab.files import atomic_path, sha256_of

SPLITS = ("train", "validation", "test", "unseen")
PARAGRAPH = "\n\n"
LONGEST_SALT = 64  # bytes: the longest key of BLAKE2b
SCHEMA = pa.schema(
    [
        pa.field("split", pa.string(), nullable=False),
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("document", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)


class Block(NamedTuple):
    """A piece of a document; `key` is the keyed hash of its text."""

    split: str
    key: int
    source: str
    document: str
    text: str


def split_corpus(
    sources: Mapping[str, Path],
    output_dir: Path,
    *,
    salt: str,
    block_bytes: int = 16384,
    validation_fraction: float,
    test_fraction: float,
    unseen: Sequence[str] = (),
) -> None:
    """Write `blocks.parquet`, sorted by (split, key), and `manifest.json` into `output_dir`.

    `sources` maps names to `documents.parquet` files with a `manifest.json` beside each. `unseen` lists documents
    held out whole, as "source/document". Raises CorpusError for fractions outside [0, 1), an unknown unseen
    document, or a corpus too small to fill each split.
    """
    _check_settings(salt, block_bytes, validation_fraction, test_fraction)
    blocks = []
    for source, documents in sorted(sources.items()):
        for block in read_blocks(documents, source, salt, block_bytes):
            held_out = f"{source}/{block.document}" in unseen
            split = "unseen" if held_out else assign_split(block.key, validation_fraction, test_fraction)
            blocks.append(block._replace(split=split))
    _check_unseen(unseen, blocks)
    unique = remove_duplicates(blocks)
    _check_filled(unique, validation_fraction, test_fraction, block_bytes)
    path = output_dir / "blocks.parquet"
    _write_blocks(unique, path)
    settings: dict[str, Any] = {
        "salt": salt,
        "block_bytes": block_bytes,
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "unseen": list(unseen),
    }
    counts = {"duplicates_removed": len(blocks) - len(unique), "splits": _count(unique)}
    described = {"sources": _describe(sources), "sha256": sha256_of(path)}
    write_json(output_dir / "manifest.json", {**settings, **counts, **described})


def read_blocks(documents: Path, source: str, salt: str, block_bytes: int) -> Iterator[Block]:
    """The blocks of a `documents.parquet`, in order of its documents; the split is the source itself."""
    for document, text in read_documents(documents):
        for piece in cut_blocks(text, block_bytes):
            yield Block(source, block_key(piece, salt), source, document, piece)


def cut_blocks(text: str, block_bytes: int) -> list[str]:
    """Cut a document into stripped blocks of at most `block_bytes` bytes of UTF-8, at paragraph ends.

    A paragraph longer than a block is cut before whitespace, or between characters where it has none.
    """
    blocks: list[str] = []
    open_parts: list[str] = []
    size = 0
    for part in _short_paragraphs(text, block_bytes):
        length = len(part.encode())
        if open_parts and size + len(PARAGRAPH) + length > block_bytes:
            blocks.append(PARAGRAPH.join(open_parts))
            open_parts, size = [], 0
        size += length + (len(PARAGRAPH) if open_parts else 0)
        open_parts.append(part)
    blocks.append(PARAGRAPH.join(open_parts))
    return [block for block in map(str.strip, blocks) if block]


def _short_paragraphs(text: str, block_bytes: int) -> Iterator[str]:
    for paragraph in text.split(PARAGRAPH):
        data = paragraph.encode()
        while len(data) > block_bytes:
            piece = data[:block_bytes].decode("utf-8", errors="ignore")
            cut = max(piece.rfind(" "), piece.rfind("\n"))
            piece = piece[:cut] if cut > 0 else piece
            yield piece
            data = data[len(piece.encode()) :]
        yield data.decode()


def block_key(text: str, salt: str) -> int:
    """The 64-bit key of a text: BLAKE2b of its NFC, stripped form, keyed with `salt`."""
    canonical = unicodedata.normalize("NFC", text.strip()).encode()
    return int.from_bytes(hashlib.blake2b(canonical, digest_size=8, key=salt.encode()).digest(), "big")


def assign_split(key: int, validation_fraction: float, test_fraction: float) -> str:
    """The split of a key: the lowest keys validate, the next test, the rest train."""
    position = key / 2**64
    if position < validation_fraction:
        return "validation"
    return "test" if position < validation_fraction + test_fraction else "train"


def remove_duplicates(blocks: Iterable[Block]) -> list[Block]:
    """One block for each key, in order of (split, key).

    A block that also stands in a held-out document stays there alone; among the rest the first one stays. (Equal
    keys are always in the same split otherwise, because the key assigns the split.)
    """
    kept: dict[int, Block] = {}
    for block in blocks:
        if block.key not in kept or (block.split == "unseen" and kept[block.key].split != "unseen"):
            kept[block.key] = block
    return sorted(kept.values())


def sample_blocks(
    documents: Path, source: str, *, salt: str, block_bytes: int, max_bytes: int, exclude: Collection[int]
) -> list[Block]:
    """The blocks of a transfer source with the lowest keys, up to `max_bytes` bytes of text in all.

    They form an evaluation set named after the source. Blocks whose key is in `exclude` (the train split) are
    left out. Raises CorpusError if nothing remains.
    """
    blocks = read_blocks(documents, source, salt, block_bytes)
    sample: list[Block] = []
    size = 0
    for block in remove_duplicates(b for b in blocks if b.key not in exclude):
        size += len(block.text.encode())
        if size > max_bytes:
            break
        sample.append(block)
    if not sample:
        raise CorpusError(f"{documents}: no block fits into {max_bytes} bytes or none is outside the train split")
    return sample


def _check_settings(salt: str, block_bytes: int, validation_fraction: float, test_fraction: float) -> None:
    if len(salt.encode()) > LONGEST_SALT:
        raise CorpusError(f"salt {salt!r} is longer than {LONGEST_SALT} bytes")
    if block_bytes < 64:
        raise CorpusError(f"block_bytes is {block_bytes}, expected at least 64")
    for name, value in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if not 0 <= value < 1:
            raise CorpusError(f"{name} is {value}, expected 0 <= {name} < 1")
    if validation_fraction + test_fraction >= 1:
        raise CorpusError(f"validation_fraction + test_fraction is {validation_fraction + test_fraction}, expected < 1")


def _check_unseen(unseen: Sequence[str], blocks: Sequence[Block]) -> None:
    found = {f"{block.source}/{block.document}" for block in blocks if block.split == "unseen"}
    if missing := sorted(set(unseen) - found):
        sources = ", ".join(sorted({block.source for block in blocks}))
        raise CorpusError(f"unseen: no document {missing[0]!r} in the sources {sources}; names are source/document")


def _check_filled(blocks: Sequence[Block], validation: float, test: float, block_bytes: int) -> None:
    counts = Counter(block.split for block in blocks)
    needed = [("train", True), ("validation", validation > 0), ("test", test > 0)]
    for split in [name for name, wanted in needed if wanted and not counts[name]]:
        raise CorpusError(
            f"the {split} split is empty: {len(blocks)} blocks of up to {block_bytes} bytes are too few; "
            "add text, lower block_bytes or raise its fraction"
        )


def _write_blocks(blocks: Sequence[Block], path: Path) -> None:
    columns = [pa.array(column, field.type) for column, field in zip(zip(*blocks, strict=True), SCHEMA, strict=True)]
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, schema=SCHEMA), temporary, compression="zstd", row_group_size=1024)


def _count(blocks: Sequence[Block]) -> dict[str, dict[str, Any]]:
    """Blocks and bytes of each split, in all and by source."""
    counts: dict[str, dict[str, Any]] = {}
    for split in SPLITS:
        chosen = [block for block in blocks if block.split == split]
        if not chosen:
            continue
        by_source: dict[str, dict[str, int]] = {}
        for block in chosen:
            entry = by_source.setdefault(block.source, {"blocks": 0, "bytes": 0})
            entry["blocks"] += 1
            entry["bytes"] += len(block.text.encode())
        total = sum(entry["bytes"] for entry in by_source.values())
        counts[split] = {"blocks": len(chosen), "bytes": total, "sources": by_source}
    return counts


def _describe(sources: Mapping[str, Path]) -> dict[str, Any]:
    keys = ("title", "licence", "attribution", "documents", "bytes", "sha256")
    manifests = {name: read_json(path.with_name("manifest.json")) for name, path in sorted(sources.items())}
    return {name: {key: manifest.get(key) for key in keys} for name, manifest in manifests.items()}

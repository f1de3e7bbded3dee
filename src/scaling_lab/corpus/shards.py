"""Text into token shards: flat unsigned integers, the ends of the documents, and one manifest."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scaling_lab.corpus.manifests import read_json, write_json
from scaling_lab.corpus.splits import SPLITS, sample_blocks
from scaling_lab.corpus.tokenizers import Tokenizer, load_tokenizer, read_split
from scaling_lab.errors import CorpusError
from scaling_lab.files import atomic_path, sha256_of

LARGEST_UINT16_VOCAB = 65536
SHARD_NAME = re.compile(r".+-\d{5}\.(?:bin|idx)")
BATCH_TEXTS = 256  # texts encoded at once: about 4 MB


def tokenize(
    blocks: Path,
    transfers: Mapping[str, Path],
    tokenizer: Path,
    output_dir: Path,
    *,
    shard_tokens: int,
    max_transfer_bytes: int,
) -> None:
    """Write the shards of every split of `blocks` and of a sample of each transfer text, and `manifest.json`.

    `blocks` is a `blocks.parquet`, `transfers` maps set names to `documents.parquet` files. Every block is followed
    by end-of-text, in order of key. `{set}-00000.bin` holds little-endian uint16 (uint32 above 65536 ids), `.idx`
    the uint64 end of each block, counted in tokens from the start of its shard. A shard holds whole blocks and at
    most `shard_tokens` tokens, unless a single block is longer. The manifest comes last: without it, no shards.
    """
    if shard_tokens < 1:
        raise CorpusError(f"shard_tokens is {shard_tokens}, expected at least 1")
    if clashes := sorted(set(transfers) & set(SPLITS)):
        raise CorpusError(f"transfer text {clashes[0]!r} has the name of a split")
    corpus = read_json(blocks.with_name("manifest.json"))
    encoder = load_tokenizer(tokenizer)
    dtype = token_dtype(encoder.vocab_size)
    _remove_shards(output_dir)
    sets: dict[str, Any] = {}
    for split in [name for name in SPLITS if name in corpus["splits"]]:
        sources = {name: corpus["sources"][name] for name in sorted(corpus["splits"][split]["sources"])}
        sets[split] = _write_set(split, read_split(blocks, split), encoder, dtype, output_dir, shard_tokens)
        sets[split]["sources"] = _attributions(sources)
    seen = _train_keys(blocks)
    for name, documents in transfers.items():
        settings = {"salt": corpus["salt"], "block_bytes": corpus["block_bytes"], "max_bytes": max_transfer_bytes}
        texts = (block.text for block in sample_blocks(documents, name, exclude=seen, **settings))
        sets[name] = _write_set(name, texts, encoder, dtype, output_dir, shard_tokens)
        sets[name]["sources"] = _attributions({name: read_json(documents.with_name("manifest.json"))})
    manifest = {
        "vocab_size": encoder.vocab_size,
        "dtype": dtype.name,
        "end_of_text": encoder.end_of_text,
        "tokenizer": {"kind": encoder.name, "sha256": sha256_of(tokenizer)},
        "blocks_sha256": corpus["sha256"],
        "sets": sets,
    }
    write_json(output_dir / "manifest.json", manifest)


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The little-endian unsigned type that holds every id: uint16 up to 65536 ids, else uint32."""
    return np.dtype("<u2" if vocab_size <= LARGEST_UINT16_VOCAB else "<u4")


def to_dtype(ids: NDArray[np.unsignedinteger[Any]], dtype: np.dtype[Any]) -> NDArray[np.unsignedinteger[Any]]:
    """`ids` as `dtype`. Raises CorpusError instead of wrapping around an id that does not fit."""
    if ids.size and int(ids.max()) > np.iinfo(dtype).max:
        raise CorpusError(f"token id {int(ids.max())} does not fit into {dtype.name} (up to {np.iinfo(dtype).max})")
    return ids.astype(dtype)


def _write_set(
    name: str, texts: Iterable[str], encoder: Tokenizer, dtype: np.dtype[Any], output_dir: Path, shard_tokens: int
) -> dict[str, Any]:
    """Write the shards of one set and return its entry in the manifest."""
    shards: list[dict[str, Any]] = []
    shard: list[NDArray[np.unsignedinteger[Any]]] = []
    filled = documents = size = 0
    for text_bytes, ids in _encode(texts, encoder, dtype):
        if shard and filled + len(ids) > shard_tokens:
            shards.append(_write_shard(output_dir, f"{name}-{len(shards):05d}", shard))
            shard, filled = [], 0
        shard.append(ids)
        filled += len(ids)
        documents += 1
        size += text_bytes
    shards.append(_write_shard(output_dir, f"{name}-{len(shards):05d}", shard))
    tokens = sum(entry["tokens"] for entry in shards)
    # End-of-text counts as a token but not as text, so that nats per token / bytes per token are nats per byte.
    counts = {"tokens": tokens, "documents": documents, "bytes": size, "bytes_per_token": size / tokens}
    return {**counts, "shards": shards}


def _encode(
    texts: Iterable[str], encoder: Tokenizer, dtype: np.dtype[Any]
) -> Iterator[tuple[int, NDArray[np.unsignedinteger[Any]]]]:
    """The bytes of each text and its ids with end-of-text appended."""
    for batch in _batches(texts):
        for text, ids in zip(batch, encoder.encode(batch), strict=True):
            yield len(text.encode()), to_dtype(np.append(ids, np.uint32(encoder.end_of_text)), dtype)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH_TEXTS:
            yield batch
            batch = []
    if batch:
        yield batch


def _write_shard(output_dir: Path, stem: str, blocks: list[NDArray[np.unsignedinteger[Any]]]) -> dict[str, Any]:
    tokens = np.concatenate(blocks)
    ends = np.cumsum([len(block) for block in blocks], dtype="<u8")
    for suffix, array in ((".idx", ends), (".bin", tokens)):
        with atomic_path(output_dir / (stem + suffix)) as temporary:
            temporary.write_bytes(array.tobytes())
    digest = hashlib.sha256(tokens.tobytes()).hexdigest()
    return {"file": f"{stem}.bin", "tokens": len(tokens), "documents": len(blocks), "sha256": digest}


def _remove_shards(output_dir: Path) -> None:
    """Clear the shards of an earlier call: a later one may have fewer."""
    (output_dir / "manifest.json").unlink(missing_ok=True)
    for path in output_dir.glob("*"):
        if SHARD_NAME.fullmatch(path.name):
            path.unlink()


def _train_keys(blocks: Path) -> set[int]:
    return set(pq.read_table(blocks, columns=["key"], filters=[("split", "==", "train")]).column("key").to_pylist())


def _attributions(sources: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: m.get(key) for key in ("title", "licence", "attribution")} for name, m in sources.items()}

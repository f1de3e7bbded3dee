"""Token shards opened for reading, and nested subsets of the train stream. Imports neither torch nor tiktoken."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_lab.corpus.manifests import read_json, write_json
from scaling_lab.errors import CorpusError
from scaling_lab.files import sha256_of

HASH_TOKENS = 2**22  # tokens hashed at once


class TokenStore:
    """The token streams of a `manifest.json` written by tokenize, mapped into memory.

    Opening compares the size of every shard with the manifest and raises CorpusError for a missing or cut one; the
    hashes are compared by `verify`, which reads everything.
    """

    def __init__(self, manifest: Path) -> None:
        content = read_json(manifest)
        self._path = manifest
        try:
            self.vocab_size: int = content["vocab_size"]
            self.end_of_text: int = content["end_of_text"]
            self.dtype = np.dtype(content["dtype"]).newbyteorder("<")
            self._sets: dict[str, dict[str, Any]] = content["sets"]
        except (KeyError, TypeError) as error:
            raise CorpusError(f"{manifest}: is not a manifest of tokens: {error} is missing or not valid") from error
        if self.vocab_size - 1 > np.iinfo(self.dtype).max:
            raise CorpusError(f"{manifest}: {self.dtype.name} cannot hold a vocabulary of {self.vocab_size} ids")
        self._shards = {name: [self._open(shard) for shard in entry["shards"]] for name, entry in self._sets.items()}
        self._starts = {
            name: np.cumsum([0, *(len(shard) for shard in shards)]) for name, shards in self._shards.items()
        }

    def __reduce__(self) -> tuple[type["TokenStore"], tuple[Path]]:
        # A pickled memmap is a copy of its data; a worker process opens the files itself.
        return TokenStore, (self._path,)

    @property
    def sets(self) -> list[str]:
        """The names of the sets: the splits, then the transfer texts."""
        return list(self._sets)

    def tokens(self, name: str) -> int:
        """The length of a set in tokens, with end-of-text."""
        return int(self._starts[self._known(name)][-1])

    def bytes_per_token(self, name: str) -> float:
        """Bytes of text for each token of a set, where end-of-text is a token of no bytes."""
        return float(self._sets[self._known(name)]["bytes_per_token"])

    def read(self, name: str, start: int, stop: int) -> NDArray[np.unsignedinteger[Any]]:
        """A copy of the tokens [start, stop) of a set, across shards. Raises CorpusError outside the stream."""
        total = self.tokens(name)
        if not 0 <= start <= stop <= total:
            raise CorpusError(f"{self._path}: tokens [{start}, {stop}) of {name!r} are outside its {total} tokens")
        starts = self._starts[name]
        first = int(np.searchsorted(starts, start, side="right")) - 1
        last = int(np.searchsorted(starts, stop, side="left"))
        pieces = [np.empty(0, self.dtype)]
        for shard, offset in zip(self._shards[name][first:last], starts[first:last].tolist(), strict=True):
            pieces.append(shard[max(start - offset, 0) : stop - offset])
        return np.concatenate(pieces)

    def document_ends(self, name: str) -> NDArray[np.uint64]:
        """The end of each block of a set, counted in tokens from the start of the set."""
        ends = []
        for shard, start in zip(self._sets[self._known(name)]["shards"], self._starts[name], strict=False):
            path = self._path.with_name(shard["file"]).with_suffix(".idx")
            if not path.is_file() or path.stat().st_size != 8 * shard["documents"]:
                raise CorpusError(f"{path}: is missing or cut, expected the ends of {shard['documents']} documents")
            ends.append(np.fromfile(path, "<u8") + np.uint64(start))
        return np.concatenate(ends)

    def verify(self) -> None:
        """Compare the sha256 of every shard with the manifest. Raises CorpusError naming the first that differs."""
        for shard in (shard for entry in self._sets.values() for shard in entry["shards"]):
            path = self._path.with_name(shard["file"])
            if (found := sha256_of(path)) != shard["sha256"]:
                raise CorpusError(f"{path}: sha256 is {found}, the manifest says {shard['sha256']}")

    def _known(self, name: str) -> str:
        if name not in self._sets:
            raise CorpusError(f"{self._path}: no set {name!r}; it has {', '.join(self._sets)}")
        return name

    def _open(self, shard: dict[str, Any]) -> NDArray[np.unsignedinteger[Any]]:
        path = self._path.with_name(shard["file"])
        expected = shard["tokens"] * self.dtype.itemsize
        if not path.is_file():
            raise CorpusError(f"{path}: the shard is missing; run tokenize again")
        if (found := path.stat().st_size) != expected:
            raise CorpusError(f"{path}: the shard has {found} bytes, the manifest says {expected}; run tokenize again")
        return np.memmap(path, self.dtype, mode="r")


def subset(tokens_manifest: Path, tokens: int, output: Path) -> None:
    """Write the manifest of the first `tokens` tokens of the train stream; no token is copied.

    `documents` counts the blocks that end within. Raises CorpusError if the stream is shorter: this stage repeats
    nothing.
    """
    store = TokenStore(tokens_manifest)
    total = store.tokens("train")
    if not 1 <= tokens <= total:
        raise CorpusError(
            f"{tokens_manifest}: a subset of {tokens} tokens is asked for, the train stream has {total}; "
            "add text or ask for fewer"
        )
    digest = hashlib.sha256()
    for start in range(0, tokens, HASH_TOKENS):
        digest.update(store.read("train", start, min(start + HASH_TOKENS, tokens)).tobytes())
    documents = int(np.searchsorted(store.document_ends("train"), tokens, side="right"))
    content = {"set": "train", "tokens": tokens, "documents": documents, "sha256": digest.hexdigest()}
    write_json(output, {**content, "tokens_manifest_sha256": sha256_of(tokens_manifest)})

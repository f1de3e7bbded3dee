"""Every stage run on the committed sample."""

from dataclasses import dataclass
from pathlib import Path

from scaling_lab.corpus.documents import read_documents
from scaling_lab.corpus.shards import tokenize
from scaling_lab.corpus.sources import fetch_corpus
from scaling_lab.corpus.splits import split_corpus
from scaling_lab.corpus.tokenizers import train_tokenizer


@dataclass(frozen=True)
class Prepared:
    """The files of a small corpus."""

    documents: Path
    blocks: Path
    tokenizer: Path
    tokens: Path


def prepare(root: Path) -> Prepared:
    """Run every stage on the sample; the sample's blocks of another size serve as the transfer text."""
    fetch_corpus("sample", root / "sample")
    documents = root / "sample" / "documents.parquet"
    split_corpus(
        {"sample": documents},
        root / "corpus",
        salt="test",
        block_bytes=4096,
        validation_fraction=0.1,
        test_fraction=0.1,
        unseen=[f"sample/{next(read_documents(documents)).id}"],
    )
    tokens = root / "tokens"
    train_tokenizer(root / "corpus" / "blocks.parquet", tokens / "tokenizer.json", kind="bpe", vocab_size=512)
    transfer = root / "transfer" / "documents.parquet"
    fetch_corpus("sample", transfer.parent)
    tokenize(
        root / "corpus" / "blocks.parquet",
        {"transfer": transfer},
        tokens / "tokenizer.json",
        tokens,
        shard_tokens=50_000,
        max_transfer_bytes=20_000,
    )
    return Prepared(documents, root / "corpus" / "blocks.parquet", tokens / "tokenizer.json", tokens / "manifest.json")

"""The committed sample, from documents to shards, made once for all tests of the package."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scaling_lab.corpus.documents import read_documents
from scaling_lab.corpus.shards import tokenize
from scaling_lab.corpus.sources import fetch_corpus
from scaling_lab.corpus.splits import split_corpus
from scaling_lab.corpus.tokenizers import train_tokenizer


def prepare(root: Path) -> Path:
    """Run every stage on the sample, which is its own transfer text, and return the folder of the results."""
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
    return root


@pytest.fixture(scope="session")
def prepare_again() -> Callable[[Path], Path]:
    return prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def sample_documents(prepared: Path) -> Path:
    return prepared / "sample" / "documents.parquet"


@pytest.fixture(scope="session")
def block_file(prepared: Path) -> Path:
    return prepared / "corpus" / "blocks.parquet"


@pytest.fixture(scope="session")
def sample_tokenizer(prepared: Path) -> Path:
    return prepared / "tokens" / "tokenizer.json"


@pytest.fixture(scope="session")
def sample_tokens(prepared: Path) -> Path:
    return prepared / "tokens" / "manifest.json"

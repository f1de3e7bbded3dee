"""A small real token store, made from the packaged sample, and specs of runs on it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from scaling_lab.corpus.shards import tokenize
from scaling_lab.corpus.sources import fetch_corpus
from scaling_lab.corpus.splits import split_corpus
from scaling_lab.corpus.tokenizers import train_tokenizer
from scaling_lab.spec import RunSpec

settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A folder is one of pytest-xdist's groups, which share fixtures; the cluster, which mostly waits, comes first."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        on_slurm = item.get_closest_marker("slurm") is not None
        item.add_marker(pytest.mark.xdist_group("slurm" if on_slurm else folder))
    items.sort(key=lambda item: item.get_closest_marker("slurm") is None)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a byte-token store of the sample text, with its manifest."""
    root = tmp_path_factory.mktemp("dataset")
    fetch_corpus("sample", root / "sample")
    split_corpus(
        {"sample": root / "sample" / "documents.parquet"},
        root / "corpus",
        salt="test",
        block_bytes=4096,
        validation_fraction=0.1,
        test_fraction=0.1,
    )
    blocks = root / "corpus" / "blocks.parquet"
    train_tokenizer(blocks, root / "tokens" / "tokenizer.json", kind="bytes", vocab_size=257)
    tokenize(blocks, {}, root / "tokens" / "tokenizer.json", root / "tokens", shard_tokens=2**18, max_transfer_bytes=1)
    return root / "tokens"


def run_spec(**changes: Any) -> RunSpec:
    """A run of about a second; `changes` are dotted keys with double underscores for dots."""
    raw: dict[str, Any] = {
        "dataset": "sample-bytes",
        "architecture": {"n_layer": 1, "d_model": 16, "n_head": 2, "d_ff": 64, "context": 32, "vocab_size": 257},
        "tokens": 128 * 100,
        "batch_tokens": 128,
        "optimizer": {"learning_rate": 0.01},
        "schedule": {"warmup_tokens": 1280},
        "evaluation": {"sets": ["validation", "test"], "tokens": 2048, "transfer_tokens": 1024, "points": 2},
    }
    for path, value in changes.items():
        *parents, leaf = path.split("__")
        node = raw
        for key in parents:
            node = node[key]
        node[leaf] = value
    return RunSpec.model_validate(raw)


@pytest.fixture
def spec() -> RunSpec:
    """The default small run."""
    return run_spec()

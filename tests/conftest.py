"""A small real token store, made from the packaged sample, and specs of runs on it."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from scaling_lab.corpus.shards import tokenize
from scaling_lab.corpus.sources import fetch_corpus
from scaling_lab.corpus.splits import split_corpus
from scaling_lab.corpus.tokenizers import train_tokenizer
from scaling_lab.spec import RunSpec

settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")


class ByFolder(LoadScopeScheduling):
    """A folder of tests, which share fixtures, stays in one of pytest-xdist's processes."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0].split("/")[1]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFolder:
    return ByFolder(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The cluster, which mostly waits, comes first, so that the other processes work beside it."""
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


# `srun` of a SLURM whose nodes are this machine: the command alone, as the task of the second node.
PRETENDED = {
    "squeue": "echo 2",
    "scontrol": "echo NodeName=n1 NodeAddr=127.0.0.1 NodeHostName=host",
    "srun": 'while [ "$1" != sh ]; do shift; done; SLURM_PROCID=0 exec "$@"',
}


@pytest.fixture
def job_of_two_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a SLURM job of two nodes, as far as it is asked for; tests/slurm has a real one."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in PRETENDED.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURMD_NODENAME", "n1")

"""A full disk or a killed job never leaves a half file under the final name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scaling_lab.corpus.documents import Document, write_documents
from scaling_lab.corpus.manifests import read_json, write_json
from scaling_lab.corpus.tokenizers import train_tokenizer
from scaling_lab.errors import CorpusError
from scaling_lab.files import atomic_path

FULL = Path("/dev/full")  # every write to this device fails with "no space left"
needs_full = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")


def fill_disk(path: Path) -> None:
    """Make the next atomic write of `path` run into a full disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.symlink_to(FULL)


@needs_full
def test_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_json(path, {"old": 1})
    fill_disk(path)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


@needs_full
def test_full_disk_leaves_no_parquet(tmp_path: Path) -> None:
    fill_disk(tmp_path / "documents.parquet")
    with pytest.raises(OSError, match="No space left"):
        write_documents([Document("a", "text")], tmp_path, {}, {})
    assert list(tmp_path.iterdir()) == []


@needs_full
def test_full_disk_leaves_no_tokenizer(tmp_path: Path) -> None:
    fill_disk(tmp_path / "tokenizer.json")
    with pytest.raises(OSError, match="No space left"):
        train_tokenizer(tmp_path, tmp_path / "tokenizer.json", kind="bytes", vocab_size=257)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_path(tmp_path / "file") as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(tmp_path.iterdir()) == []


@needs_full
def test_a_full_disk_is_one_line_of_the_command_line(tmp_path: Path) -> None:
    """Whatever was being written: here the tokenizer, to a device that is always full."""
    (tmp_path / "blocks.parquet").touch()
    output = tmp_path / "tokenizer.json"
    code = (
        "import pathlib, sys, os; p = pathlib.Path(sys.argv[-1]);"
        "p.with_name(f'.{p.name}.{os.getpid()}.partial').symlink_to('/dev/full');"
        "from scaling_lab.cli import main; main()"
    )
    options = ["train-tokenizer", str(tmp_path / "blocks.parquet"), "--kind", "bytes", "--vocab-size", "257"]
    command = [sys.executable, "-c", code, *options, "--output", str(output)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("scaling-lab: the disk is full; free some space")
    assert not output.exists()


def test_an_unwritable_place_is_one_line_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    output = str(tmp_path / "file" / "tokenizer.json")
    options = ["train-tokenizer", "blocks.parquet", "--kind", "bytes", "--vocab-size", "257", "--output", output]
    result = subprocess.run(
        [sys.executable, "-m", "scaling_lab", *options], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr.startswith(f"scaling-lab: {tmp_path / 'file'}")
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("text", "message"), [("{", "not valid JSON"), ("[]", "holds a JSON list")])
def test_damaged_manifest_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(CorpusError, match=message):
        read_json(tmp_path / "m.json")


def test_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"m\.json: cannot be read: No such file"):
        read_json(tmp_path / "m.json")

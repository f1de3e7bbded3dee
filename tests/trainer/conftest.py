"""`scaling-lab train` as users run it, with servers in a folder of their own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scaling_lab.spec import RunSpec, canonical_json


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@dataclass(frozen=True)
class Service:
    """Commands on `dataset` whose servers live under `root`."""

    root: Path
    dataset: Path

    def start(self, folder: Path, spec: RunSpec, **environment: str) -> subprocess.Popen[str]:
        """`scaling-lab train` of `spec` in `folder`, by relative paths, with a checkpoint after every chunk."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.json").write_text(canonical_json(spec))
        outer = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SCALING_LAB_"))}
        manifest = os.path.relpath(self.dataset / "manifest.json", folder)
        options = ("--dataset", manifest, "--checkpoint-seconds", "0")
        return subprocess.Popen(
            [sys.executable, "-m", "scaling_lab", "train", "spec.json", *options],
            cwd=folder,
            env=outer | {"TMPDIR": str(self.root)} | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def train(self, folder: Path, spec: RunSpec, **environment: str) -> tuple[int, str]:
        """Exit status and standard error of a command that runs to its end."""
        process = self.start(folder, spec, **environment)
        _, errors = process.communicate(timeout=180)
        return process.returncode, errors

    def servers(self) -> list[int]:
        """Process ids of the servers."""
        return [process for process, parent in self._processes().items() if parent not in self._processes()]

    def child_in(self, folder: Path) -> int:
        """Process id of the child that trains in `folder`, once it has saved a checkpoint."""
        wait_until(lambda: any((folder / "checkpoints").glob("*.ckpt")))
        children = [process for process, parent in self._processes().items() if parent in self._processes()]
        return next(child for child in children if Path(f"/proc/{child}/cwd").readlink() == folder)

    def sockets(self) -> list[Path]:
        return [path for path in self.root.glob("scaling-lab-*/*") if path.is_socket()]

    def _processes(self) -> dict[int, int]:
        """Servers and children, which share a command line, each with its parent."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes()
                if b"scaling_lab.trainer.server" in command and str(self.root).encode() in command:
                    found[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
        return found


@pytest.fixture(scope="module")
def service(dataset: Path) -> Iterator[Service]:
    root = Path(tempfile.mkdtemp(prefix="slt", dir="/tmp"))  # short: the address of a socket holds 107 bytes
    found = Service(root, dataset)
    yield found
    for server in found.servers():
        os.kill(server, signal.SIGKILL)
    shutil.rmtree(root)

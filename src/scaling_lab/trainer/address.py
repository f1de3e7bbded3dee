"""Where a server listens: a socket named by its identity, in a folder that only its user can enter."""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scaling_lab.trainer.identity import code_digest, surroundings_digest

# Longest path that the address of a Unix socket holds: 108 bytes on Linux, with the final zero.
LONGEST_ADDRESS = 107


def server_address() -> Path | None:
    """Socket of the server for this process; None where no private folder can be had."""
    folder = Path(tempfile.gettempdir()) / f"scaling-lab-{os.getuid()}"
    address = folder / f"{surroundings_digest()}{code_digest()}"
    if len(os.fsencode(address)) > LONGEST_ADDRESS:
        address = Path("/tmp") / folder.name / address.name
    return address if _is_private(address.parent) else None


def _is_private(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077


@contextmanager
def folder_lock(address: Path) -> Iterator[None]:
    """Hold what starting and leaving servers take in turn."""
    with address.with_name("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def log_of(address: Path) -> Path:
    """What a server itself says: nothing, unless it fails."""
    return address.with_name(address.name + ".log")

"""What a process is among those that train one run, and when it ends."""

import ctypes
import os
import signal
import sys


def is_first_process() -> bool:
    """Whether this process was started by the user or the workflow, not for a further device or node.

    The first one alone holds the run's lock and writes its files.
    """
    return all(os.environ.get(rank, "0") == "0" for rank in ("LOCAL_RANK", "NODE_RANK"))


def signal_when_parent_dies(number: int = signal.SIGKILL) -> None:
    """Have the kernel (of Linux) send this process a signal when the one that started it ends, however it ends."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, number)

"""Signals that ask a training process to stop: it writes a checkpoint and leaves with a code that says try again."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from scaling_lab.errors import InterruptedTrainingError

# A scheduler's end of time and `scancel`; Ctrl-C; the two that SLURM is asked to warn with (`--signal=USR1@60`).
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


class StopRequest:
    """The signal that asked this process to stop, if one did."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __bool__(self) -> bool:
        return self.name is not None

    def handle(self) -> None:
        """Take over the stopping signals. Called again once Lightning has put its own handler over SIGTERM."""
        for number in STOPPING:
            signal.signal(number, self._note)

    def raise_if_set(self, done: str) -> None:
        """Raise InterruptedTrainingError, saying what is `done`, if a signal came."""
        if self:
            raise InterruptedTrainingError(f"{self.name}: {done}; run the same command again to go on")

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        if number == signal.SIGINT:  # a second Ctrl-C does not wait for the end of a step
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Note stopping signals instead of dying of them; the handlers from before come back at the end."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    request = StopRequest()
    request.handle()
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

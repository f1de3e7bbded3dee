"""Errors that a user can act on. The command line prints their text alone, without a traceback."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class ScalingLabError(Exception):
    """Base of every error whose message names the file, key or row, the value and what is allowed."""

    exit_code = 2


class ConfigError(ScalingLabError):
    """A configuration key has a value that is not allowed."""


class CorpusError(ScalingLabError):
    """A text is missing, unreadable, or too small for what is asked of it."""


class TrainingError(ScalingLabError):
    """A run cannot be trained as specified."""


class InterruptedTrainingError(ScalingLabError):
    """A signal stopped the training after a checkpoint was written: the same command goes on from there."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: a temporary failure, try again


class TableError(ScalingLabError):
    """A table lacks a column or holds values that a fit cannot use."""


@contextmanager
def reported_errors() -> Iterator[None]:
    """Make an error that the user can act on one line on standard error, and its exit code that of the process."""
    try:
        yield
    except ScalingLabError as error:
        _stop(str(error), error.exit_code)
    except OSError as error:
        # pyarrow raises a bare OSError for some failures and puts the reason into its text alone.
        if error.errno == errno.ENOSPC or "No space left" in str(error):
            _stop("the disk is full; free some space and run again: what was finished is kept, and training goes on")
        if error.filename is None:
            raise
        _stop(f"{error.filename}: {error.strerror}")


def _stop(message: str, exit_code: int = ScalingLabError.exit_code) -> NoReturn:
    print(f"scaling-lab: {message}", file=sys.stderr)
    sys.exit(exit_code)

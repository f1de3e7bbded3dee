"""Errors that a user can act on. The command line prints their text alone, without a traceback."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class ScalingLabError(Exception):
    """Base of every error whose message names the file, key or row, the value and what is allowed."""


class ConfigError(ScalingLabError):
    """A configuration key has a value that is not allowed."""


class CorpusError(ScalingLabError):
    """A text is missing, unreadable, or too small for what is asked of it."""


class TrainingError(ScalingLabError):
    """A run cannot be trained as specified, or diverged."""


class TableError(ScalingLabError):
    """A table lacks a column or holds values that a fit cannot use."""


@contextmanager
def reported_errors() -> Iterator[None]:
    """Make an error that the user can act on one line on standard error, and the exit code 2."""
    try:
        yield
    except ScalingLabError as error:
        _stop(str(error))
    except OSError as error:
        # pyarrow raises a bare OSError for some failures and puts the reason into its text alone.
        if error.errno == errno.ENOSPC or "No space left" in str(error):
            _stop("the disk is full; free some space and run again: what was finished is kept, and training goes on")
        if error.filename is None:
            raise
        _stop(f"{error.filename}: {error.strerror}")


def _stop(message: str) -> NoReturn:
    print(f"scaling-lab: {message}", file=sys.stderr)
    sys.exit(2)

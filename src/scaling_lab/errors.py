"""Errors that a user can act on. The command line prints their text alone, without a traceback."""


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

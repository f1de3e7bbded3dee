"""Errors that a user can act on. The command line prints their text alone, without a traceback."""


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

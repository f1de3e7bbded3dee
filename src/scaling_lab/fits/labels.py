"""Axis labels of the variables, each with its convention."""

TOKENS = "Training tokens"

# By column: what D counts.
DATA = {"tokens": TOKENS, "unique_tokens": "Unique tokens, passed over until validation stops improving"}

_PARAMS = {
    "params_non_embedding": "Non-embedding parameters",
    "params_with_head": "Parameters with output head",
    "params_total": "Total parameters",
}


def params_label(convention: str) -> str:
    """Label of a parameter count."""
    return _PARAMS[convention]


def flops_label(convention: str) -> str:
    """Label of training FLOPs."""
    return f"Training FLOPs ({convention})"

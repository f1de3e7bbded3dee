"""Small specs of every architecture and variant, and how to make one with other fields."""

from typing import Any

from pydantic import TypeAdapter

from scaling_lab.architectures import ArchitectureSpec

CONTEXT, VOCABULARY = 16, 100
_ANY: TypeAdapter[ArchitectureSpec] = TypeAdapter(ArchitectureSpec)
_BLOCKS: dict[str, Any] = {"n_layer": 2, "d_model": 24, "n_head": 3, "d_ff": 96}


def architecture(**fields: Any) -> ArchitectureSpec:
    """A spec of two layers of width 24 with other fields."""
    blocks = {} if fields.get("kind") == "lstm" else _BLOCKS
    size = {"n_layer": 2, "d_model": 24, "context": CONTEXT, "vocab_size": VOCABULARY}
    return _ANY.validate_python(size | blocks | fields)


VARIANTS = {
    "rotary": architecture(),
    "learned": architecture(positions="learned"),
    "no layers": architecture(n_layer=0),
    "wide feed-forward": architecture(d_ff=200),
    "one head": architecture(n_head=1),
    "narrow heads": architecture(n_head=4, head_dim=4),
    "wide heads": architecture(head_dim=16, positions="learned"),
    "untied": architecture(tied=False),
    "mup": architecture(parametrization="mup", base_width=8),
    "completep": architecture(parametrization="completep", base_width=8, base_depth=1),
    "universal": architecture(kind="universal", reuse=2),
    "universal, eight passes, learned, untied": architecture(
        kind="universal", n_layer=1, reuse=8, positions="learned", tied=False
    ),
    "lstm": architecture(kind="lstm"),
    "lstm, four layers, untied, chunks": architecture(kind="lstm", n_layer=4, tied=False, bptt_tokens=5),
}
"""By what tells them apart."""

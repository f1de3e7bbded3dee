"""Published models by name: the GPT-2 sizes, the 50 rows of Hoffmann's Table A9, Chinchilla and Gopher."""

from __future__ import annotations

from collections.abc import Mapping

from scaling_lab.science.accounting.chinchilla import ChinchillaShape
from scaling_lab.science.accounting.conventions import Architecture
from scaling_lab.science.accounting.transformer import Shape


def _gpt2(n_layer: int, d_model: int) -> Shape:
    """Heads of width 64, d_ff = 4 d_model, 1024 learned positions, 50257 tokens (Radford et al. 2019)."""
    return Shape(n_layer, d_model, d_model // 64, 4 * d_model, 1024, 50_257)


GPT2_SHAPES: Mapping[str, Shape] = {
    "gpt2": _gpt2(12, 768),
    "gpt2-medium": _gpt2(24, 1024),
    "gpt2-large": _gpt2(36, 1280),
    "gpt2-xl": _gpt2(48, 1600),
}
"""The four GPT-2 sizes."""

# Millions of parameters as printed: (d_model, d_head, n_head, n_layer); d_ff = 4 d_model in every row.
_TABLE_A9 = {
    44: (512, 64, 8, 8), 57: (576, 64, 9, 9), 74: (640, 64, 10, 10), 90: (640, 64, 10, 13), 106: (640, 64, 10, 16),
    117: (768, 64, 12, 12), 140: (768, 64, 12, 15), 163: (768, 64, 12, 18), 175: (896, 64, 14, 14),
    196: (896, 64, 14, 16), 217: (896, 64, 14, 18), 251: (1024, 64, 16, 16), 278: (1024, 64, 16, 18),
    306: (1024, 64, 16, 20), 425: (1280, 128, 10, 18), 489: (1280, 128, 10, 21), 509: (1408, 128, 11, 18),
    552: (1280, 128, 10, 24), 587: (1408, 128, 11, 21), 632: (1536, 128, 12, 19), 664: (1408, 128, 11, 24),
    724: (1536, 128, 12, 22), 816: (1536, 128, 12, 25), 893: (1792, 128, 14, 20), 1018: (1792, 128, 14, 23),
    1143: (1792, 128, 14, 26), 1266: (2048, 128, 16, 22), 1424: (2176, 128, 17, 22), 1429: (2048, 128, 16, 25),
    1593: (2048, 128, 16, 28), 1609: (2176, 128, 17, 25), 1731: (2304, 128, 18, 24), 1794: (2176, 128, 17, 28),
    2007: (2304, 128, 18, 28), 2283: (2304, 128, 18, 32), 2298: (2560, 128, 20, 26), 2639: (2560, 128, 20, 30),
    2980: (2560, 128, 20, 34), 3530: (2688, 128, 22, 36), 3802: (2816, 128, 22, 36), 4084: (2944, 128, 22, 36),
    4516: (3072, 128, 24, 36), 6796: (3584, 128, 28, 40), 9293: (4096, 128, 32, 42), 11452: (4352, 128, 32, 47),
    12295: (4608, 128, 36, 44), 12569: (4608, 128, 32, 47), 13735: (4864, 128, 32, 47), 14940: (4992, 128, 32, 49),
    16183: (5120, 128, 40, 47),
}  # fmt: skip

TABLE_A9: Mapping[int, ChinchillaShape] = {
    millions: ChinchillaShape(layers, width, heads, head_width, 4 * width)
    for millions, (width, head_width, heads, layers) in _TABLE_A9.items()
}
"""Hoffmann et al. 2022, Table A9: millions of parameters as printed -> shape."""

PUBLISHED_SHAPES: Mapping[str, Architecture] = {
    **GPT2_SHAPES,
    **{f"hoffmann-{millions}m": shape for millions, shape in TABLE_A9.items()},
    "chinchilla": ChinchillaShape(80, 8192, 64, 128, 4 * 8192),
    "gopher": ChinchillaShape(80, 16_384, 128, 128, 4 * 16_384),
}
"""Every published model here, by name."""

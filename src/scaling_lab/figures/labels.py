"""Words for axes, which always name their convention, and laws in words."""

from __future__ import annotations

from scaling_lab.figures.inputs import Fit
from scaling_lab.figures.style import power_of_ten

PARAMS = {
    "params_non_embedding": "non-embedding parameters",
    "params_with_head": "non-embedding parameters and head",
    "params_total": "all parameters, embeddings included",
}
FLOPS = {
    "6n": "6N (`6n`)",
    "kaplan": "6N and attention scores (`kaplan`)",
    "deepseek": "6N and attention (`deepseek`)",
    "head": "6N, attention scores, head (`head`)",
    "matmul": "all matrix products (`matmul`)",
    "hoffmann": "Hoffmann appendix F (`hoffmann`)",
    "hoffmann_a4": "Hoffmann appendix F without embedding and head (`hoffmann_a4`)",
}
TOKENS = "training tokens (each seen once)"
DATA = {"tokens": TOKENS, "unique_tokens": "unique tokens, passed over until validation stops improving"}


def params_label(column: str) -> str:
    """Axis label of N."""
    return f"N: {PARAMS[column]}"


def flops_label(convention: str) -> str:
    """Axis label of C."""
    return f"C: training FLOPs,\n{FLOPS[convention]}"


def flops_words(convention: str) -> str:
    """What C counts, for running text."""
    return FLOPS[convention].replace("`", "")


def loss_label(column: str) -> str:
    """Axis label of a loss column of runs.parquet."""
    name = column.removesuffix("_nats").removesuffix("_loss").removeprefix("loss_").replace("_", " ")
    return f"{name} loss, nats per token"


def law_in_words(fit: Fit, letter: str) -> str:
    """A one-variable law with its numbers, as mathematical text."""
    scale, alpha = fit.value("Xc"), fit.value("alpha")
    term = rf"({letter} / {_mathematical(scale)})^{{-{alpha:.3f}}}"
    return f"$L = {fit.value('E'):.2f} + {term}$" if fit.record["law"] == "power_offset" else f"$L = {term}$"


def _mathematical(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}"


def with_interval(fit: Fit, name: str, digits: int = 2) -> str:
    """`0.51 (0.49 to 0.53)`; the value alone where the bootstrap gave no interval."""
    interval = {**fit.record["derived"], **fit.record["parameters"]}[name]["interval"]
    bounds = f" ({interval['low']:.{digits}f} to {interval['high']:.{digits}f})" if interval else ""
    return f"{fit.value(name):.{digits}f}{bounds}"


def rounded(value: float, digits: int = 2) -> str:
    """Two significant digits with a power of ten."""
    return power_of_ten(float(f"{value:.{digits - 1}e}"))

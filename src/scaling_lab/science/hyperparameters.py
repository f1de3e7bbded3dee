"""Rules for the peak learning rate, the batch and the warmup.

First the power law whose numbers a configuration gives. Then the published laws as they were published: N parameters, D
tokens, C FLOPs, batches in tokens unless named otherwise. `PUBLISHED_RATES` and `PUBLISHED_BATCHES` offer them by name,
as functions of (N, D, C), batches in tokens; a configuration names them too, and `counted_params` tells what N counts.
"""

import math
from collections.abc import Callable, Mapping

from scaling_lab.science.accounting import ParamsConvention


def power_rate(
    params: float, tokens: float, coefficient: float, params_exponent: float, tokens_exponent: float
) -> float:
    """coefficient * N^-params_exponent * D^-tokens_exponent.

    Porian et al. 2024 find 3.7 N^-0.36 for N with the head; Step Law 2025 has this form with a positive power of D.
    """
    return coefficient * math.pow(params, -params_exponent) * math.pow(tokens, -tokens_exponent)


def kaplan_rate(params: float) -> float:
    """0.003239 - 0.0001395 log N (Kaplan et al. 2020, Eq D.1).

    Raises:
        ValueError: above 1e10 parameters, where the rule falls to zero.
    """
    if params > 1e10:
        raise ValueError(f"learning_rate.rule kaplan holds up to 1e10 non-embedding parameters, not {params:.3g}")
    return 0.003239 - 0.0001395 * math.log(params)


def power_batch(tokens: float, coefficient: float, exponent: float) -> float:
    """coefficient * D^exponent tokens (the form of Step Law 2025, which finds 0.58 D^0.571)."""
    return coefficient * math.pow(tokens, exponent)


def deepseek_rate(flops: float) -> float:
    """0.3118 C^-0.1250 (DeepSeek 2024); C = M D with M FLOPs per token, convention `deepseek`."""
    return 0.3118 * math.pow(flops, -0.1250)


def deepseek_batch(flops: float) -> float:
    """0.2920 C^0.3271 tokens (DeepSeek 2024)."""
    return 0.2920 * math.pow(flops, 0.3271)


def deepseek_model_scale(flops: float) -> float:
    """M_opt = 0.1715 C^0.5243 FLOPs per token (DeepSeek 2024)."""
    return 0.1715 * math.pow(flops, 0.5243)


def deepseek_tokens(flops: float) -> float:
    """D_opt = 5.8316 C^0.4757 tokens (DeepSeek 2024); M_opt D_opt = 1.0001 C."""
    return 5.8316 * math.pow(flops, 0.4757)


def step_rate(params: float, tokens: float) -> float:
    """1.79 N^-0.713 D^0.307 (Step Law 2025)."""
    return 1.79 * math.pow(params, -0.713) * math.pow(tokens, 0.307)


def step_batch(tokens: float) -> float:
    """0.58 D^0.571 tokens (Step Law 2025)."""
    return power_batch(tokens, 0.58, 0.571)


def porian_rate(params: float) -> float:
    """3.7 N^-0.36 (Porian et al. 2024); N includes the head."""
    return 3.7 * math.pow(params, -0.36)


def porian_batch(params: float) -> float:
    """0.7576 N^0.703 tokens (Porian et al. 2024); N includes the head."""
    return 0.7576 * math.pow(params, 0.703)


def olmo_rate(params: float) -> float:
    """0.0047 (N / 108e6)^(-1/3) (OLMo ladder)."""
    return 0.0047 * math.pow(params / 108e6, -1 / 3)


def olmo_batch_sequences(params: float) -> float:
    """160 (N / 108e6)^(2/3) sequences of 2048 tokens (OLMo ladder); at a context of 4096, half as many."""
    return 160 * math.pow(params / 108e6, 2 / 3)


def olmo_warmup_tokens(params: float) -> float:
    """As many tokens as parameters (OLMo ladder, after Porian et al. 2024)."""
    return params


def zhang_batch_sequences(params: float) -> float:
    """93.20 (N / 1e6)^0.47 sequences of 512 tokens: critical batch at Chinchilla's D / N (Zhang et al. 2024)."""
    return 93.20 * math.pow(params / 1e6, 0.47)


def zhang_fixed_data_batch_sequences(params: float) -> float:
    """621.341 (N / 1e6)^0.087 sequences of 512 tokens: critical batch at fixed data (Zhang et al. 2024)."""
    return 621.341 * math.pow(params / 1e6, 0.087)


PublishedRule = Callable[[float, float, float], float]
"""(N parameters, D tokens, C FLOPs) -> peak learning rate, or batch in tokens."""

PUBLISHED_RATES: Mapping[str, PublishedRule] = {
    "kaplan": lambda params, _tokens, _flops: kaplan_rate(params),
    "deepseek": lambda _params, _tokens, flops: deepseek_rate(flops),
    "step": lambda params, tokens, _flops: step_rate(params, tokens),
    "porian": lambda params, _tokens, _flops: porian_rate(params),
    "olmo": lambda params, _tokens, _flops: olmo_rate(params),
}
PUBLISHED_BATCHES: Mapping[str, PublishedRule] = {
    "deepseek": lambda _params, _tokens, flops: deepseek_batch(flops),
    "step": lambda _params, tokens, _flops: step_batch(tokens),
    "porian": lambda params, _tokens, _flops: porian_batch(params),
    "olmo": lambda params, _tokens, _flops: 2048 * olmo_batch_sequences(params),
    "zhang": lambda params, _tokens, _flops: 512 * zhang_batch_sequences(params),
    "zhang_fixed_data": lambda params, _tokens, _flops: 512 * zhang_fixed_data_batch_sequences(params),
}


def counted_params(rule: str) -> ParamsConvention:
    """What a published rule's N counts: Porian et al. include the head; the others leave out embeddings and head."""
    return "params_with_head" if rule == "porian" else "params_non_embedding"

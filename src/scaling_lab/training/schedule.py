"""Learning-rate schedules as pure functions of tokens processed."""

import math
from collections.abc import Callable, Mapping

from scaling_lab.spec import RunSpec


def learning_rate(spec: RunSpec, tokens: int) -> float:
    """Rate of the optimizer step that has processed `tokens` tokens before it.

    Linear warmup from one batch's share, then by `schedule.name`: `constant`; `linear` to the end of the run; `cosine`:
    half a period over `period_fraction` of the run (1 is matched, more overshoots: Hoffmann et al. 2022, appendix B);
    `wsd`: constant, then a cooldown over the last `cooldown_fraction` (Hägele et al. 2024); `rsqrt`: falls as
    sqrt(warmup / tokens) before and in its cooldown (Zhai et al. 2022). A decay that reaches its end does so at
    `final_fraction` of the peak.
    """
    schedule, peak = spec.schedule, spec.optimizer.learning_rate
    if tokens < schedule.warmup_tokens:
        return peak * (tokens + spec.batch_tokens) / (schedule.warmup_tokens + spec.batch_tokens)
    return peak * (schedule.final_fraction + (1 - schedule.final_fraction) * DECAYS[schedule.name](spec, tokens))


def _half_cosine(into: float, length: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * into / length))


# What is left of the rate after `into` tokens of a decay over `length` tokens.
SHAPES: Mapping[str, Callable[[float, float], float]] = {
    "sqrt": lambda into, length: 1 - math.sqrt(into / length),
    "linear": lambda into, length: 1 - into / length,
    "cosine": _half_cosine,
    "square": lambda into, length: 1 - (into / length) ** 2,
}


def _cooldown(spec: RunSpec, tokens: int) -> float:
    schedule = spec.schedule
    length = min(schedule.cooldown_fraction * spec.tokens, spec.tokens - schedule.warmup_tokens)
    into = tokens - (spec.tokens - length)
    return 1.0 if into <= 0 else SHAPES[schedule.cooldown_shape](into, length)


def _rsqrt(spec: RunSpec, tokens: int) -> float:
    return math.sqrt(spec.schedule.warmup_tokens / tokens) * _cooldown(spec, tokens)


def _cosine(spec: RunSpec, tokens: int) -> float:
    warmup = spec.schedule.warmup_tokens
    return _half_cosine(tokens - warmup, spec.schedule.period_fraction * spec.tokens - warmup)


def _linear(spec: RunSpec, tokens: int) -> float:
    warmup = spec.schedule.warmup_tokens
    return 1 - (tokens - warmup) / (spec.tokens - warmup)


DECAYS: Mapping[str, Callable[[RunSpec, int], float]] = {
    "wsd": _cooldown,
    "rsqrt": _rsqrt,
    "cosine": _cosine,
    "linear": _linear,
    "constant": lambda _spec, _tokens: 1.0,
}

"""Learning-rate schedules as pure functions of tokens processed."""

import math

from scaling_lab.spec import RunSpec


def learning_rate(spec: RunSpec, tokens: int) -> float:
    """Rate of the optimizer step that has processed `tokens` tokens before it.

    Linear warmup from one batch's share; then `wsd`: constant, then 1 - sqrt over the last `cooldown_fraction` of
    the run (Hägele et al. 2024); `cosine`: half a period matched to the run (Hoffmann et al. 2022). Both end at
    `final_fraction` of the peak.
    """
    schedule, peak = spec.schedule, spec.optimizer.learning_rate
    if tokens < schedule.warmup_tokens:
        return peak * (tokens + spec.batch_tokens) / (schedule.warmup_tokens + spec.batch_tokens)
    decay = _cosine(spec, tokens) if schedule.name == "cosine" else _cooldown(spec, tokens)
    return peak * (schedule.final_fraction + (1 - schedule.final_fraction) * decay)


def _cosine(spec: RunSpec, tokens: int) -> float:
    warmup = spec.schedule.warmup_tokens
    return 0.5 * (1 + math.cos(math.pi * (tokens - warmup) / (spec.tokens - warmup)))


def _cooldown(spec: RunSpec, tokens: int) -> float:
    length = spec.schedule.cooldown_fraction * spec.tokens
    into = tokens - (spec.tokens - length)
    return 1.0 if into <= 0 else 1 - math.sqrt(into / length)

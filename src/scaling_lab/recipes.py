"""The numbers that the recipe gives to one run, by the rules of `training`: batch, peak rate, schedule, stopping."""

from scaling_lab.config import TrainingConfig
from scaling_lab.errors import ConfigError
from scaling_lab.science.accounting import Architecture
from scaling_lab.science.hyperparameters import (
    PUBLISHED_BATCHES,
    PUBLISHED_RATES,
    PublishedRule,
    counted_params,
    power_batch,
    power_rate,
)
from scaling_lab.spec import ScheduleSpec, StoppingSpec

# Coefficients of the power laws where the configuration gives none: tuned on the default text.
RATE_COEFFICIENT, BATCH_COEFFICIENT = 0.19, 0.5


def batch_tokens(model: Architecture, tokens: float, training: TrainingConfig) -> int:
    """Tokens per optimizer step of a run of `tokens` tokens by the recipe's rule: whole contexts per micro-batch."""
    settings = training.batch
    if settings.rule == "power":
        batch = power_batch(tokens, settings.coefficient or BATCH_COEFFICIENT, settings.exponent)
    else:
        rule = PUBLISHED_BATCHES[settings.rule]
        batch = (settings.coefficient or 1) * _apply(settings.rule, rule, model, tokens)
    unit = training.context * training.micro_batches
    return max(1, round(batch / unit)) * unit


def whole_unique_tokens(unique: int | None, tokens: int, training: TrainingConfig) -> int | None:
    """Unique tokens in whole contexts, or None where one pass over the text gives all the tokens."""
    if unique is None:
        return None
    whole = max(1, round(unique / training.context)) * training.context
    return whole if whole < tokens else None


def make_stopping(batch: int, training: TrainingConfig) -> StoppingSpec | None:
    """Early stopping of a run, its evaluations at whole batches."""
    if training.stopping is None:
        return None
    every = max(1, round(training.stopping.every_tokens / batch)) * batch
    return StoppingSpec(every_tokens=every, patience=training.stopping.patience)


def peak_learning_rate(model: Architecture, tokens: float, training: TrainingConfig) -> float:
    """Peak rate by the recipe's rule, to four digits, so that ids agree where pow differs in the last bit."""
    settings = training.learning_rate
    if settings.rule == "power":
        coefficient = settings.coefficient or RATE_COEFFICIENT
        exponents = settings.params_exponent, settings.tokens_exponent
        rate = power_rate(model.params_non_embedding, tokens, coefficient, *exponents)
    else:
        rule = PUBLISHED_RATES[settings.rule]
        rate = (settings.coefficient or 1) * _apply(settings.rule, rule, model, tokens)
    return float(f"{rate:.4g}")


def _apply(name: str, rule: PublishedRule, model: Architecture, tokens: float) -> float:
    """A published rule with N and C counted as its paper counts them."""
    return rule(model.params(counted_params(name)), tokens, model.training_flops("deepseek", tokens))


def make_schedule(tokens: int, batch: int, training: TrainingConfig) -> ScheduleSpec:
    """The schedule of a run; the warmup is whole batches, and of a horizon shorter than its cap only a share.

    Raises:
        ConfigError: the runs of a trunk share one warmup, which is too long for this horizon.
    """
    schedule = training.schedule
    most = int(schedule.warmup_fraction * tokens)
    if schedule.trunk and schedule.warmup_tokens > most:
        raise ConfigError(
            f"schedule.warmup_tokens: {schedule.warmup_tokens} is more than schedule.warmup_fraction ="
            f" {schedule.warmup_fraction} of {tokens} tokens, and the runs of a trunk share one warmup"
        )
    warmup = min(schedule.warmup_tokens, most) // batch * batch
    return ScheduleSpec(warmup_tokens=warmup, **schedule.model_dump(exclude={"warmup_tokens", "warmup_fraction"}))


def refuse_trunk_that_knows_its_horizon(model: Architecture, training: TrainingConfig) -> None:
    """Runs of one trunk share rate and batch, whatever their horizon.

    Raises:
        ConfigError: naming the rule that depends on tokens.
    """
    near, far = 1e6, 1e12
    if peak_learning_rate(model, near, training) != peak_learning_rate(model, far, training):
        raise ConfigError(
            f"learning_rate: rule {training.learning_rate.rule} with tokens_exponent"
            f" {training.learning_rate.tokens_exponent} depends on the horizon; the runs of a trunk share one rate"
        )
    if batch_tokens(model, near, training) != batch_tokens(model, far, training):
        raise ConfigError(
            f"batch: rule {training.batch.rule} with exponent {training.batch.exponent} depends on the horizon;"
            " the runs of a trunk share one batch (power with exponent 0, say)"
        )

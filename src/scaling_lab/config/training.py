"""The recipe of a run: everything but its size and its tokens."""

from typing import Literal, Self

from pydantic import Field, model_validator

from scaling_lab.architectures import Kind, Parametrization
from scaling_lab.frozen import Frozen
from scaling_lab.science.accounting import Positions
from scaling_lab.spec import CooldownShape, ScheduleName


class LearningRateConfig(Frozen):
    """Peak rate by parameters N and training tokens D."""

    rule: Literal["power", "kaplan", "deepseek", "step", "porian", "olmo"] = Field(
        default="power",
        description="power: coefficient * N^-params_exponent * D^-tokens_exponent, N without embeddings; the others: "
        "coefficient * the published rule, N and C counted as its paper does",
    )
    coefficient: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="of the rule: 0.19 for `power`, 1 for the others"
    )
    params_exponent: float = Field(default=0.32, ge=-2, le=2, allow_inf_nan=False, description="power; 0: all N alike")
    tokens_exponent: float = Field(default=0.0, ge=-2, le=2, allow_inf_nan=False, description="power; 0: all D alike")


class BatchConfig(Frozen):
    """Tokens per optimizer step by parameters N and training tokens D, rounded to whole contexts."""

    rule: Literal["power", "deepseek", "step", "porian", "olmo", "zhang", "zhang_fixed_data"] = Field(
        default="power", description="power: coefficient * D^exponent; the others: coefficient * the published rule"
    )
    coefficient: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="of the rule: 0.5 for `power`, 1 for the others"
    )
    exponent: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False, description="power; 0: all D alike")


class OptimizerConfig(Frozen):
    """AdamW, or Adafactor, which has none of beta1, beta2 and epsilon."""

    name: Literal["adamw", "adafactor"] = Field(default="adamw", description="adafactor: as Kaplan's largest models")
    beta1: float = Field(default=0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(default=0.99, ge=0, lt=1, description="decay of the second moment")
    epsilon: float = Field(default=1e-8, gt=0, description="added to the root of the second moment")
    weight_decay: float = Field(default=0.1, ge=0, description="on matrices; biases and norms are not decayed")
    clip_norm: float = Field(default=1.0, gt=0, description="largest norm of the gradient")


class ScheduleConfig(Frozen):
    """Learning rate over the run."""

    name: ScheduleName = Field(
        default="wsd",
        description="after the warmup; wsd: constant, then a cooldown; rsqrt: sqrt(warmup_tokens / tokens), then a "
        "cooldown; cosine: half a period; linear: to the end; constant",
    )
    warmup_tokens: int = Field(default=65536, ge=0, description="linear warmup, at most `warmup_fraction` of the run")
    warmup_fraction: float = Field(default=0.2, ge=0, le=0.5, description="cap of the warmup as a share of the run")
    cooldown_fraction: float = Field(default=0.2, ge=0, le=1, description="wsd, rsqrt: share that cools down")
    cooldown_shape: CooldownShape = Field(
        default="sqrt", description="1 - sqrt(x), 1 - x, half a cosine or 1 - x^2 of the cooldown's course x"
    )
    period_fraction: float = Field(
        default=1.0, ge=1, allow_inf_nan=False, description="cosine: its length over the run's; 1 is matched"
    )
    final_fraction: float = Field(default=0.0, ge=0, le=1, description="final rate as a share of the peak")
    trunk: bool = Field(
        default=False,
        description="wsd, rsqrt: runs that differ in horizon or cooldown alone are one trunk with a cooldown each",
    )


class EvaluationConfig(Frozen):
    """Fixed token sets, the same for every run."""

    tokens: int = Field(default=65536, ge=1024, description="tokens evaluated of validation and test")
    transfer_tokens: int = Field(default=16384, ge=1024, description="tokens evaluated of every other set")
    points: int = Field(default=3, ge=1, le=20, description="validation evaluations in a run, at horizon / 2^k")


class StoppingConfig(Frozen):
    """Early stopping, for runs that repeat their data: the best weights on validation are what the test measures."""

    every_tokens: int = Field(ge=1, description="tokens between evaluations, rounded to whole batches")
    patience: int = Field(default=5, ge=1, description="evaluations without a better one after which the run ends")


class TrainingConfig(Frozen):
    """The recipe: everything of a run but its size and its tokens."""

    architecture: Kind = Field(default="transformer", description="universal: blocks that are passed `reuse` times")
    context: int = Field(default=128, ge=2, description="tokens of context")
    tied: bool = Field(default=True, description="the output head is the token embedding")
    d_ff_ratio: float = Field(default=4.0, gt=0, allow_inf_nan=False, description="d_ff / d_model, of blocks")
    reuse: int = Field(default=2, ge=1, description="universal: passes through the blocks")
    bptt_tokens: int | None = Field(
        default=None, ge=1, description="lstm: tokens that gradients flow back through; none: the whole context"
    )
    parametrization: Parametrization = Field(
        default="standard",
        description="mup: one rate, tuned at `base_width`, serves every width of blocks; completep: and every depth",
    )
    base_width: int | None = Field(
        default=None, ge=1, description="mup, completep: the d_model that the rate was tuned at"
    )
    base_depth: int | None = Field(default=None, ge=1, description="completep: the layers that the rate was tuned at")
    head_dim: int = Field(default=12, ge=1, description="least width of a head: as many heads as fit")
    positions: Positions = Field(
        default="rotary",
        description="rotary (RoFormer), or learned as in GPT-2: far slower to use order at small sizes",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout on embeddings, attention and branches")
    learning_rate: LearningRateConfig = LearningRateConfig()
    batch: BatchConfig = BatchConfig()
    micro_batches: int = Field(
        default=1,
        ge=1,
        description="parts of a batch whose gradients are summed: a bound on memory, and from 2 on a measure of the"
        " gradient noise scale",
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    stopping: StoppingConfig | None = Field(default=None, description="early stopping on validation; none by default")

    @model_validator(mode="after")
    def _one_rate_for_every_width(self) -> Self:
        rate = self.learning_rate
        if self.parametrization != "standard" and (rate.rule != "power" or rate.params_exponent):
            raise ValueError(
                f"parametrization {self.parametrization} carries the rate from size to size itself:"
                " learning_rate.rule must be power and learning_rate.params_exponent 0"
            )
        return self

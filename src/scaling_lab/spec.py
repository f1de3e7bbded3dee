"""RunSpec: the complete description of one training run, its canonical JSON and its content-addressed id.

Two studies that ask for the same run share it, and reverting an edit retrains nothing, because the id is a digest of
what the run *is*. Only fields that differ from their default enter the digest: a new field with a default leaves old
ids as they are. So never change a default: add a field. `recipe` is raised by hand when training changes its meaning.
"""

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from scaling_lab.errors import ConfigError
from scaling_lab.science.accounting import FlopsConvention, Positions, Shape


class Frozen(BaseModel):
    """Immutable model that refuses unknown keys: base of specs and configuration alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def canonical_json(model: BaseModel) -> str:
    """The non-default fields of `model` as JSON with sorted keys and no spaces: equal models give equal bytes."""
    return json.dumps(model.model_dump(mode="json", exclude_defaults=True), sort_keys=True, separators=(",", ":"))


def digest(*models: BaseModel) -> str:
    """Eight hexadecimal digits that identify the content of `models`, in their order."""
    text = "\n".join(canonical_json(model) for model in models)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


class ArchitectureSpec(Frozen):
    """A decoder-only pre-norm Transformer with a tied head: GPT-2, with learned or rotary positions."""

    n_layer: int = Field(ge=0)
    d_model: int = Field(ge=1)
    n_head: int = Field(ge=1)
    d_ff: int = Field(ge=1)
    context: int = Field(ge=1, description="tokens of context")
    vocab_size: int = Field(ge=2)
    positions: Positions = "rotary"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.d_model % self.n_head:
            raise ValueError(f"n_head: {self.n_head} heads do not divide d_model = {self.d_model}")
        if self.positions == "rotary" and self.d_model // self.n_head % 2:
            raise ValueError(f"positions: rotary needs an even head width, not {self.d_model} / {self.n_head}")
        return self

    @property
    def shape(self) -> Shape:
        """The same architecture as the accounting counts it."""
        return Shape(self.n_layer, self.d_model, self.n_head, self.d_ff, self.context, self.vocab_size, self.positions)


class OptimizerSpec(Frozen):
    """AdamW (Loshchilov and Hutter 2019); decay applies to matrices, not to biases and norms."""

    learning_rate: float = Field(gt=0, allow_inf_nan=False, description="peak rate")
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)


class ScheduleSpec(Frozen):
    """Learning rate as a function of tokens: linear warmup, then `wsd` (constant, cooldown 1 - sqrt) or `cosine`."""

    name: Literal["wsd", "cosine"] = "wsd"
    warmup_tokens: int = Field(ge=0)
    cooldown_fraction: float = Field(default=0.2, ge=0, le=1, description="wsd: share of the run that cools down")
    final_fraction: float = Field(default=0.0, ge=0, le=1, description="final rate as a share of the peak")


class EvaluationSpec(Frozen):
    """Fixed token sets, the same for every run, and how much of each is evaluated."""

    sets: tuple[str, ...] = Field(description="evaluated at the end; `validation` also during the run")
    tokens: int = Field(ge=1, description="tokens evaluated of validation and test")
    transfer_tokens: int = Field(ge=1, description="tokens evaluated of every other set")
    points: int = Field(ge=1, description="validation evaluations in a run, geometrically spaced, the last at its end")


class StoppingSpec(Frozen):
    """Early stopping on validation; the weights of the best evaluation are then the result of the run."""

    every_tokens: int = Field(ge=1, description="tokens between evaluations")
    patience: int = Field(ge=1, description="evaluations without a better one after which the run ends")


class RunSpec(Frozen):
    """One training run. Everything that can change its result is here, and nothing else."""

    recipe: int = 1
    dataset: str = Field(description="id of the token store under results/tokens")
    architecture: ArchitectureSpec
    tokens: int = Field(ge=1, description="training tokens processed: the horizon")
    unique_tokens: int | None = Field(
        default=None, ge=1, description="unique tokens, passed over in epochs of another order each; None: one pass"
    )
    batch_tokens: int = Field(ge=1, description="tokens per optimizer step")
    micro_batches: int = Field(
        default=1, ge=1, description="parts of a batch whose gradients are summed; from 2 on they measure its noise"
    )
    optimizer: OptimizerSpec
    schedule: ScheduleSpec
    evaluation: EvaluationSpec
    stopping: StoppingSpec | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _whole_batches(self) -> Self:
        if self.batch_tokens % self.architecture.context:
            raise ValueError(
                f"batch_tokens: {self.batch_tokens} is not a multiple of the context, {self.architecture.context}"
            )
        if self.tokens % self.batch_tokens:
            raise ValueError(f"tokens: {self.tokens} is not a multiple of batch_tokens = {self.batch_tokens}")
        if self.sequences % self.micro_batches:
            raise ValueError(
                f"micro_batches: {self.micro_batches} does not divide the {self.sequences} sequences of a batch"
                f" (batch_tokens = {self.batch_tokens})"
            )
        return self

    @model_validator(mode="after")
    def _whole_epochs_and_stops(self) -> Self:
        context = self.architecture.context
        if self.unique_tokens is not None and (self.unique_tokens % context or self.unique_tokens >= self.tokens):
            raise ValueError(
                f"unique_tokens: {self.unique_tokens} is not a multiple of the context, {context}, below"
                f" tokens = {self.tokens}; leave it out for one pass"
            )
        if self.stopping is not None and self.stopping.every_tokens % self.batch_tokens:
            raise ValueError(
                f"stopping.every_tokens: {self.stopping.every_tokens} is not a multiple of"
                f" batch_tokens = {self.batch_tokens}"
            )
        return self

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.tokens // self.batch_tokens

    @property
    def sequences(self) -> int:
        """Sequences of one context in a batch."""
        return self.batch_tokens // self.architecture.context

    @property
    def data_tokens(self) -> int:
        """Tokens of text that the run reads: the unique ones."""
        return self.unique_tokens or self.tokens

    def check_devices(self, devices: int) -> None:
        """Raise ConfigError where the batch cannot be shared by so many devices."""
        if self.sequences % (self.micro_batches * devices):
            raise ConfigError(
                f"devices: {devices} do not divide the {self.sequences} sequences of a batch of run {self.run_id}"
                f" (batch_tokens = {self.batch_tokens}, micro_batches = {self.micro_batches})"
            )

    @property
    def run_id(self) -> str:
        """`{slug}-{digest}`: readable, and unique by content."""
        size = f"L{self.architecture.n_layer}d{self.architecture.d_model}"
        return f"{size}-D{self.tokens / 1e6:.3g}M-s{self.seed}-{digest(self)}"

    def flops(self, convention: FlopsConvention) -> float:
        """Training FLOPs of the run by a named convention of `science.accounting`."""
        return self.tokens * self.architecture.shape.flops_per_token(convention)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of `canonical_json`."""
        return cls.model_validate(json.loads(text))

    def flat(self) -> dict[str, Any]:
        """All fields with dotted names, as MLflow parameters."""
        return dict(_flatten(self.model_dump(mode="json")))


def _flatten(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        pairs += _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return pairs

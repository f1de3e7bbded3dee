"""RunSpec: the complete description of one training run, its canonical JSON and its content-addressed id.

Two studies that ask for the same run share it, and reverting an edit retrains nothing, because the id is a digest of
what the run *is*. Only fields that differ from their default enter the digest: a new field with a default leaves old
ids as they are. So never change a default: add a field. `recipe` is raised by hand when training changes its meaning.
"""

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from scaling_lab.architectures import ArchitectureSpec
from scaling_lab.errors import ConfigError
from scaling_lab.frozen import Frozen
from scaling_lab.science.accounting import FlopsConvention


def canonical_json(model: BaseModel) -> str:
    """The non-default fields of `model` as JSON with sorted keys and no spaces: equal models give equal bytes."""
    return json.dumps(model.model_dump(mode="json", exclude_defaults=True), sort_keys=True, separators=(",", ":"))


def digest(*models: BaseModel) -> str:
    """Eight hexadecimal digits that identify the content of `models`, in their order."""
    text = "\n".join(canonical_json(model) for model in models)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


class OptimizerSpec(Frozen):
    """AdamW (Loshchilov and Hutter 2019) or Adafactor (Shazeer and Stern 2018, as Kaplan's largest models used it).

    Decay applies to matrices, not to biases and norms. Adafactor's step is relative: the rate times the root mean
    square of each parameter, and the rate is at most 1 / sqrt(step).
    """

    name: Literal["adamw", "adafactor"] = "adamw"
    learning_rate: float = Field(gt=0, allow_inf_nan=False, description="peak rate")
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _adafactor_has_no_betas(self) -> Self:
        fields = type(self).model_fields
        used = [n for n in ("beta1", "beta2", "epsilon") if getattr(self, n) != fields[n].default]
        if self.name == "adafactor" and used:
            raise ValueError(f"{used[0]}: {getattr(self, used[0])} is a setting of adamw; adafactor has none")
        return self


ScheduleName = Literal["wsd", "rsqrt", "cosine", "linear", "constant"]
CooldownShape = Literal["sqrt", "linear", "cosine", "square"]


class ScheduleSpec(Frozen):
    """Learning rate as a function of tokens: linear warmup, then one of the schedules of `training.schedule`."""

    name: ScheduleName = "wsd"
    warmup_tokens: int = Field(ge=0)
    cooldown_fraction: float = Field(default=0.2, ge=0, le=1, description="wsd, rsqrt: share that cools down")
    cooldown_shape: CooldownShape = Field(default="sqrt", description="1 - sqrt(x), 1 - x, half a cosine, 1 - x^2")
    period_fraction: float = Field(
        default=1.0, ge=1, allow_inf_nan=False, description="cosine: its length as a multiple of the run's"
    )
    final_fraction: float = Field(default=0.0, ge=0, le=1, description="final rate as a share of the peak")
    trunk: bool = Field(default=False, description="runs that differ in horizon and cooldown share the rest")

    @model_validator(mode="after")
    def _trunks_know_no_horizon(self) -> Self:
        if self.trunk and not self.cools_down:
            raise ValueError(f"trunk: wsd and rsqrt have a part that all horizons share, {self.name} has none")
        if self.name == "rsqrt" and not self.warmup_tokens:
            raise ValueError("warmup_tokens: 0 gives rsqrt no time scale; it falls as sqrt(warmup_tokens / tokens)")
        return self

    @property
    def cools_down(self) -> bool:
        """Whether the rate knows nothing of the horizon until its cooldown."""
        return self.name in ("wsd", "rsqrt")

    @property
    def completed(self) -> float:
        """Share of the schedule behind the run at its end: 1 where it is matched, 0 where the rate never decays."""
        if self.name == "constant" or (self.cools_down and self.cooldown_fraction == 0):
            return 0.0
        return 1 / self.period_fraction if self.name == "cosine" else 1.0


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
    simulate: str | None = Field(default=None, description="planted law that the losses are drawn from, untrained")

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
        if self.stopping is not None and self.schedule.trunk:
            raise ValueError("stopping: the runs of a trunk share weights that no evaluation has chosen; leave out one")
        return self

    @model_validator(mode="after")
    def _branches_from_trunk(self) -> Self:
        schedule, branch = self.schedule, self.branch_tokens
        is_segment = not self.evaluation.sets
        if schedule.trunk and not is_segment and not 0 < branch < self.tokens:
            raise ValueError(
                f"schedule.cooldown_fraction: {schedule.cooldown_fraction} of {self.tokens} tokens leaves"
                f" {'nothing to the trunk' if branch == 0 else 'nothing to the cooldown'}"
            )
        if schedule.trunk and schedule.warmup_tokens > branch:
            raise ValueError(
                f"schedule.warmup_tokens: {schedule.warmup_tokens} is more than the {branch} tokens"
                f" before the cooldown of a run of {self.tokens}"
            )
        return self

    @property
    def shares_trunk(self) -> bool:
        """Whether the run is the cooldown of a trunk. Nothing simulated is trained."""
        return self.schedule.trunk and self.simulate is None

    @property
    def branch_tokens(self) -> int:
        """Tokens, in whole batches, after which the rate cools down: where a run of a trunk leaves it."""
        if not self.schedule.cools_down:
            return self.tokens
        constant = self.tokens - self.schedule.cooldown_fraction * self.tokens
        return int(constant // self.batch_tokens) * self.batch_tokens

    def trunk_segment(self, tokens: int) -> Self:
        """The trunk of this run up to `tokens`, as a run of its own: without a cooldown, and evaluated on nothing."""
        own = self.schedule
        schedule = ScheduleSpec(name=own.name, warmup_tokens=own.warmup_tokens, cooldown_fraction=0, trunk=True)
        evaluation = EvaluationSpec(sets=(), tokens=1, transfer_tokens=1, points=1)
        return self.model_copy(update={"tokens": tokens, "schedule": schedule, "evaluation": evaluation})

    @property
    def trunk_root(self) -> Self:
        """The first segment of the trunk, its warmup: the same for all runs of the trunk."""
        return self.trunk_segment(max(self.schedule.warmup_tokens, self.batch_tokens))

    @property
    def trunk_id(self) -> str:
        """Shared by the runs that differ in horizon, cooldown and evaluation alone."""
        return f"{self.architecture.slug}-s{self.seed}-{digest(self.trunk_root)}"

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

    def check_devices(self, devices: int, nodes: int = 1) -> None:
        """Raise ConfigError where the batch cannot be shared by so many devices of so many nodes."""
        if self.sequences % (self.micro_batches * devices * nodes):
            keys = f"devices: {devices}" if nodes == 1 else f"nodes: {nodes} with devices: {devices} each"
            raise ConfigError(
                f"{keys} do not divide the {self.sequences} sequences of a batch of run {self.run_id}"
                f" (batch_tokens = {self.batch_tokens}, micro_batches = {self.micro_batches})"
            )

    @property
    def run_id(self) -> str:
        """`{slug}-{digest}`: readable, and unique by content. Nothing that was trained is called `simulated-`."""
        simulated = "simulated-" if self.simulate else ""
        return f"{simulated}{self.architecture.slug}-D{self.tokens / 1e6:.3g}M-s{self.seed}-{digest(self)}"

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

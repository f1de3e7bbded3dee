"""Models of config/*.yaml: the one source of schema, defaults, documentation and validation."""

import math
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from scaling_lab.architectures import Kind, Parametrization
from scaling_lab.errors import ConfigError
from scaling_lab.frozen import Frozen
from scaling_lab.grid_shapes import ShapeEntry
from scaling_lab.science.accounting import FlopsConvention, ParamsConvention, Positions
from scaling_lab.spec import CooldownShape, ScheduleName

Model = TypeVar("Model", bound=Frozen)

Strategy = Literal["auto", "ddp", "fsdp"]
BuiltInSource = Literal["sotu", "books", "wiki", "hansard", "cookbook", "awsdocs", "sample"]


class CorpusConfig(Frozen):
    """Text to train on: built-in sources or your own files."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="lower-case name, used in folders and the report")
    sources: tuple[BuiltInSource, ...] = Field(default=(), description="built-in sources, downloaded and hash-checked")
    paths: tuple[str, ...] = Field(default=(), description="your own .txt, .txt.gz or .txt.xz files, folders or globs")
    unseen: tuple[str, ...] = Field(
        default=(), description="documents held out whole as a test of unseen sources, as `source/document`"
    )

    @model_validator(mode="after")
    def _some_text(self) -> Self:
        if not self.sources and not self.paths:
            raise ValueError("give `sources` (built-in) or `paths` (your own files)")
        return self


CORPORA = {
    "prose": CorpusConfig(
        name="prose", sources=("sotu", "books"), unseen=("books/carroll-alice", "books/chesterton-thursday")
    ),
    "technical": CorpusConfig(name="technical", sources=("awsdocs",)),
    "sample": CorpusConfig(name="sample", sources=("sample",)),
}


def _built_in_corpus(value: Any) -> Any:
    """The corpus that a name stands for."""
    if not isinstance(value, str):
        return value
    if value not in CORPORA:
        raise ValueError(f"{value!r} is not one of {', '.join(CORPORA)}; your own text is a mapping with `paths`")
    return CORPORA[value]


CorpusChoice = Annotated[CorpusConfig, BeforeValidator(_built_in_corpus)]
PlantedLaw = Literal["kaplan2020", "kaplan2020_table5", "kaplan2020_table6"]


class SplitConfig(Frozen):
    """How blocks of text are divided, by a salted hash of their content, before anything else happens to them."""

    salt: str = Field(default="scaling-lab", description="another salt gives another split and another order")
    block_bytes: int = Field(default=16384, ge=256, description="documents are cut into blocks of at most this size")
    validation_fraction: float = Field(default=0.04, gt=0, lt=0.5, description="share of blocks for validation")
    test_fraction: float = Field(default=0.04, gt=0, lt=0.5, description="share of blocks for the test")


class TokenizerConfig(Frozen):
    """`bytes` (257 ids), `bpe` (byte-level, trained on the train split) or `gpt2` (50,257 ids)."""

    kind: Literal["bytes", "bpe", "gpt2"] = "bpe"
    vocab_size: int = Field(default=1024, ge=257, le=1 << 20, description="ids, for `bpe` only")

    @property
    def size(self) -> int:
        """Number of token ids."""
        return {"bytes": 257, "bpe": self.vocab_size, "gpt2": 50257}[self.kind]

    @property
    def name(self) -> str:
        """Short name for folders: bytes, bpe1024, gpt2."""
        return f"bpe{self.vocab_size}" if self.kind == "bpe" else self.kind


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
        default="standard", description="mup: one rate, tuned at `base_width`, serves every width of blocks"
    )
    base_width: int | None = Field(default=None, ge=1, description="mup: the d_model that the rate was tuned at")
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
    def _one_rate_for_mup(self) -> Self:
        rate = self.learning_rate
        if self.parametrization == "mup" and (rate.rule != "power" or rate.params_exponent):
            raise ValueError(
                "parametrization mup carries the rate from width to width itself:"
                " learning_rate.rule must be power and learning_rate.params_exponent 0"
            )
        return self


class ResourcesConfig(Frozen):
    """What the training jobs ask a scheduler for. None of it is part of a run's identity."""

    flops_per_second: float = Field(
        default=5e10,
        gt=0,
        allow_inf_nan=False,
        description="training FLOP/s of one core or GPU: `scaling-lab dry-run` prints what finished runs reached",
    )
    time_margin: float = Field(default=3, ge=1, le=100, description="time asked for over time expected")
    gpus: int = Field(default=0, ge=0, description="GPUs of one training job; 0 trains on processors")


class DataConfig(Frozen):
    """What makes a dataset, and nothing else: its digest names the token store."""

    corpus: CorpusChoice = Field(default=CORPORA["prose"], description="`prose`, `technical`, `sample`, or a mapping")
    transfer: tuple[BuiltInSource, ...] = Field(default=(), description="built-in texts that are only evaluated on")
    split: SplitConfig = SplitConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    simulate: PlantedLaw | None = Field(
        default=None, description="train nothing: draw every loss from the laws that a paper published"
    )


class Config(DataConfig):
    """config/config.yaml and its overlays."""

    training: TrainingConfig = TrainingConfig()
    resources: ResourcesConfig = ResourcesConfig()
    studies: tuple[str, ...] = Field(default=("default",), min_length=1, description="files of config/studies")
    scale: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_]+$",
        description="folder of config/studies with the keys in which each study differs at another scale",
    )
    threads: int = Field(
        default=1, ge=1, description="threads of one training job, over all its processes; not part of a run's identity"
    )
    checkpoint_seconds: float = Field(
        default=30, ge=0, description="wall time between checkpoints; not part of a run's identity either"
    )
    checkpoint_tokens: int | None = Field(
        default=None, ge=1, description="tokens between checkpoints, besides those by wall time; execution only as well"
    )
    devices: int = Field(default=1, ge=1, description="GPUs (on a CPU: processes) of one training job; execution only")
    strategy: Strategy = Field(
        default="auto", description="how several devices share a run: ddp (auto), or fsdp, which shards the weights"
    )

    @model_validator(mode="after")
    def _devices_are_the_gpus(self) -> Self:
        if self.resources.gpus not in (0, self.devices):
            raise ValueError(
                f"resources.gpus: {self.resources.gpus} GPUs are asked for and devices: {self.devices} are used"
            )
        return self


class AroundConfig(Frozen):
    """A predicted optimum, N* = coefficient * C^exponent with C in FLOPs, that the sizes of every budget lie around."""

    coefficient: float = Field(gt=0, allow_inf_nan=False, description="N* at one FLOP")
    exponent: float = Field(gt=0, lt=2, description="power of C; fits/{study}/isoflop.json has both")
    params: ParamsConvention = Field(default="params_non_embedding", description="what N counts")
    reach: float = Field(
        default=4.0, gt=1, allow_inf_nan=False, description="sizes from N* / reach to N* reach are trained"
    )

    def holds(self, params: float, flops: float) -> bool:
        """Whether N = `params` lies within reach of the optimum of `flops` FLOPs."""
        ratio = params / (self.coefficient * math.pow(flops, self.exponent))
        return 1 / self.reach <= ratio <= self.reach


class GridBlock(Frozen):
    """A product of shapes, token counts (or FLOP budgets) and seeds. A study's runs are the union of its blocks."""

    shapes: tuple[ShapeEntry, ...] = Field(
        min_length=1,
        description="[n_layer, d_model] pairs, names such as gpt2 or hoffmann-44m, mappings; context and vocabulary"
        " are the study's",
    )
    tokens: tuple[int, ...] = Field(default=(), description="training tokens, rounded to whole batches")
    budgets: tuple[float, ...] = Field(default=(), description="training FLOPs: tokens = budget / FLOPs per token")
    flops: FlopsConvention = Field(default="matmul", description="convention that `budgets` count by")
    token_range: tuple[int, int] | None = Field(
        default=None, description="[least, most] tokens: cells of `budgets` outside are left out"
    )
    around: AroundConfig | None = Field(
        default=None, description="with `budgets`: cells far from a predicted optimum are left out"
    )
    unique_tokens: tuple[int, ...] = Field(
        default=(),
        description="unique tokens crossed with `tokens`, which pass over them in epochs; rounded to whole contexts."
        " Where they are not fewer than the tokens, the run is one pass",
    )
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1, description="seeds of initialisation and data order")
    vary: dict[str, tuple[Any, ...]] = Field(
        default={},
        description="dotted keys of `training`, `corpus` or keys of `tokenizer`, each with the values to cross",
    )

    @model_validator(mode="after")
    def _tokens_or_budgets(self) -> Self:
        if bool(self.tokens) == bool(self.budgets):
            raise ValueError("give either `tokens` or `budgets`")
        if self.around is not None and not self.budgets:
            raise ValueError("around: an optimum is one of `budgets`; this block gives `tokens`")
        if any(tokens < 1 for tokens in self.unique_tokens):
            raise ValueError(f"unique_tokens are positive, not {min(self.unique_tokens)}")
        return self


class PlanConfig(Frozen):
    """Budgets to plan for: FLOPs, by the convention of `fit.flops_convention`."""

    budgets: tuple[float, ...] = Field(default=(), description="training FLOPs")
    budget_multiples: tuple[float, ...] = Field(
        default=(10.0, 100.0, 1000.0), description="the same as multiples of the study's most expensive run"
    )

    def flops_for(self, largest: float) -> list[float]:
        """The budgets in FLOPs, those given outright first; `largest`: FLOPs of the most expensive run."""
        return [*self.budgets, *(multiple * largest for multiple in self.budget_multiples)]

    @model_validator(mode="after")
    def _some_budget(self) -> Self:
        if not self.budgets and not self.budget_multiples:
            raise ValueError("give `budgets` or `budget_multiples`")
        if any(not 0 < value < float("inf") for value in (*self.budgets, *self.budget_multiples)):
            raise ValueError("budgets are positive, finite numbers")
        return self


class FitConfig(Frozen):
    """How the laws are fitted."""

    loss_column: str = Field(default="test_loss_nats", description="column of runs.parquet")
    params_convention: ParamsConvention = Field(default="params_non_embedding", description="what N counts")
    flops_convention: FlopsConvention = Field(default="matmul", description="what C counts")
    objective: Literal["huber", "squares", "lad"] = Field(default="huber", description="of the log residuals, summed")
    delta: float = Field(default=1e-3, gt=0, description="Huber threshold in log units")
    bootstrap: int = Field(default=500, ge=20, description="bootstrap refits")
    level: float = Field(default=0.9, gt=0, lt=1, description="of the intervals")
    departure: float = Field(
        default=0.01,
        ge=0,
        le=0.5,
        description="by how much losses depart smoothly from their law, a standard deviation as a share of the loss,"
        " known within a factor of about 2 and corrected by the runs' lack of fit; intervals of decisions and"
        " predictions contain it; 0: laws are exact",
    )
    seed: int = Field(default=0, description="of the resampling")


FitName = Literal[
    "params", "tokens", "compute", "kaplan", "hoffmann", "isoflop", "envelope", "overshoot", "corrections",
    "data_limits", "head_to_head", "tuning", "early_stopped", "stopping_bound", "shape", "architectures", "transfer",
    "context", "learning_rate", "datasets", "depth_series", "critical_batch", "training_law", "compute_min",
    "frontier", "sample_efficiency",
]  # fmt: skip
PLANNING_FITS = frozenset[FitName](("kaplan", "hoffmann", "isoflop"))
FigureName = Literal[
    "power_laws", "learning_curves", "size_and_data", "isoflop_profiles", "optimal_allocation", "backtest", "regret",
    "overfitting", "early_stopping", "shape", "depth_transfer", "architectures", "architecture_positions", "transfer",
    "context_positions", "context_sizes", "learning_rate", "schedules", "datasets", "compute_frontier",
    "optimal_scaling", "allocation_stack", "wrong_sizes", "contradiction", "critical_batch", "batch_hyperbolas",
    "training_law", "depth_series", "functional_forms", "sample_efficiency", "horizons", "overshoot", "corrections",
    "data_limits", "head_to_head", "tuning",
]  # fmt: skip


class StudyConfig(Frozen):
    """config/studies/<study>.yaml: a question, the runs that answer it, the laws fitted and the figures drawn."""

    question: str = Field(min_length=10, description="what the study asks, in one sentence")
    grid: tuple[GridBlock, ...] = Field(min_length=1, description="blocks whose union is the study's runs")
    fit: FitConfig = FitConfig()
    fits: tuple[FitName, ...] = Field(description="laws to fit")
    figures: tuple[FigureName, ...] = Field(description="figures to draw")
    plan: PlanConfig = PlanConfig()
    corpus: CorpusChoice | None = Field(default=None, description="another corpus than the configuration's")
    transfer: tuple[BuiltInSource, ...] | None = Field(default=None, description="other texts that are evaluated on")
    tokenizer: TokenizerConfig | None = Field(default=None, description="keys of `tokenizer` that differ")
    training: TrainingConfig | None = Field(default=None, description="keys of `training` that differ")

    @property
    def plans(self) -> bool:
        """Whether its fits say what to train for a budget; the other studies measure, and plan nothing."""
        return bool(PLANNING_FITS & set(self.fits))


def parse_config(model: type[Model], raw: dict[str, Any], origin: str) -> Model:
    """Validate `raw`, read from `origin`.

    Raises:
        ConfigError: one line for each bad key: its path, what is wrong, and the value.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(detail) for detail in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from None


def _explain(detail: Any) -> str:
    path = ".".join(str(part) for part in detail["loc"]) or "(top level)"
    if detail["type"] == "extra_forbidden":
        return f"{path}: unknown key"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{path}: {message} (got {detail['input']!r})"

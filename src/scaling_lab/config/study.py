"""config/studies/*.yaml: a question, the runs that answer it, the laws fitted and the figures drawn."""

import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from scaling_lab.config.data import BuiltInSource, CorpusChoice, TokenizerConfig
from scaling_lab.config.training import TrainingConfig
from scaling_lab.frozen import Frozen
from scaling_lab.grid_shapes import ShapeEntry
from scaling_lab.science.accounting import FlopsConvention, ParamsConvention


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
    "frontier", "sample_efficiency", "batch_tuning",
]  # fmt: skip
PLANNING_FITS = frozenset[FitName](("kaplan", "hoffmann", "isoflop"))
FigureName = Literal[
    "power_laws", "learning_curves", "size_and_data", "isoflop_profiles", "optimal_allocation", "backtest", "regret",
    "overfitting", "early_stopping", "shape", "depth_transfer", "architectures", "architecture_positions", "transfer",
    "context_positions", "context_sizes", "context_training", "learning_rate", "schedules", "datasets",
    "compute_frontier", "optimal_scaling", "allocation_stack", "wrong_sizes", "contradiction", "critical_batch",
    "batch_hyperbolas", "training_law", "depth_series", "functional_forms", "sample_efficiency", "horizons",
    "overshoot", "corrections", "data_limits", "head_to_head", "tuning", "batch_tuning",
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

"""Expand studies into runs: config in, RunSpecs and dataset ids out. Pure, and fast enough for parse time."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from pydantic import ValidationError

from scaling_lab.config import Config, GridBlock, StudyConfig, TrainingConfig, parse_config
from scaling_lab.errors import ConfigError
from scaling_lab.science.hyperparameters import BATCH_RULES, LEARNING_RATE_RULES
from scaling_lab.spec import (
    ArchitectureSpec,
    EvaluationSpec,
    OptimizerSpec,
    RunSpec,
    ScheduleSpec,
    StoppingSpec,
    digest,
)


def corpus_id(config: Config) -> str:
    """Folder of the split corpus: its name and a digest of what it is made of."""
    return f"{config.corpus.name}-{digest(config.corpus, config.split)}"


def source_ids(config: Config) -> tuple[str, ...]:
    """Folders of the texts to train on: the built-in sources, and the user's files under the corpus's name."""
    own = (f"{config.corpus.name}-{digest(config.corpus)}",) if config.corpus.paths else ()
    return config.corpus.sources + own


def dataset_id(config: Config) -> str:
    """Folder of the token store: a digest of corpus, split, tokenizer and transfer texts."""
    tokens = Config(corpus=config.corpus, transfer=config.transfer, split=config.split, tokenizer=config.tokenizer)
    return f"{config.corpus.name}-{config.tokenizer.name}-{digest(tokens)}"


def evaluation_sets(config: Config) -> tuple[str, ...]:
    """Names of the token sets that every run is evaluated on."""
    unseen = ("unseen",) if config.corpus.unseen else ()
    return ("validation", "test", *unseen, *config.transfer)


def expand_study(name: str, study: StudyConfig, config: Config) -> dict[str, RunSpec]:
    """Runs of a study by id, in the order of its grid; equal runs of several blocks appear once.

    Raises:
        ConfigError: naming the study, the block and the key, for a run that cannot exist.
    """
    runs: dict[str, RunSpec] = {}
    for index, block in enumerate(study.grid):
        try:
            runs |= {spec.run_id: spec for spec in _expand_block(block, config)}
        except (ValidationError, ConfigError, ValueError) as error:
            raise ConfigError(f"config/studies/{name}.yaml: grid.{index}: {_reason(error)}") from None
    return runs


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(d["msg"].removeprefix("Value error, ") for d in error.errors())
    return str(error)


def _expand_block(block: GridBlock, config: Config) -> Iterator[RunSpec]:
    for values in product(*block.vary.values()):
        training = _override(config.training, dict(zip(block.vary, values, strict=True)))
        for n_layer, d_model in block.shapes:
            architecture = _architecture(n_layer, d_model, training, config)
            for tokens, unique, seed in product(
                _token_counts(block, architecture), block.unique_tokens or (None,), block.seeds
            ):
                yield _run_spec(architecture, tokens, unique, seed, training, config)


def _override(training: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    raw = training.model_dump()
    for path, value in values.items():
        *parents, leaf = path.split(".")
        node = raw
        for key in parents:
            node = node.get(key) or {}
        if leaf not in node:
            raise ConfigError(f"vary.{path}: not a key of `training`")
        node[leaf] = value
    return parse_config(TrainingConfig, raw, "vary")


def _architecture(n_layer: int, d_model: int, training: TrainingConfig, config: Config) -> ArchitectureSpec:
    return ArchitectureSpec(
        n_layer=n_layer,
        d_model=d_model,
        n_head=_heads(d_model, training.head_dim),
        d_ff=4 * d_model,
        context=training.context,
        vocab_size=config.tokenizer.size,
        positions=training.positions,
        dropout=training.dropout,
    )


def _heads(d_model: int, head_dim: int) -> int:
    """As many heads as divide the width and leave each at least `head_dim` wide, and even, as rotations need it."""
    fitting = [h for h in range(1, d_model // head_dim + 1) if d_model % (2 * h) == 0]
    return max(fitting, default=1)


def _token_counts(block: GridBlock, architecture: ArchitectureSpec) -> list[float]:
    per_token = architecture.shape.flops_per_token(block.flops)
    least, most = block.token_range or (0, float("inf"))
    return [*block.tokens, *(c / per_token for c in block.budgets if least <= c / per_token <= most)]


def _run_spec(
    architecture: ArchitectureSpec,
    tokens: float,
    unique_tokens: int | None,
    seed: int,
    training: TrainingConfig,
    config: Config,
) -> RunSpec:
    batch = batch_tokens(tokens, training)
    tokens = max(1, round(tokens / batch)) * batch
    return RunSpec(
        dataset=dataset_id(config),
        architecture=architecture,
        tokens=tokens,
        unique_tokens=_unique_tokens(unique_tokens, tokens, training),
        batch_tokens=batch,
        micro_batches=training.micro_batches,
        optimizer=OptimizerSpec(
            learning_rate=peak_learning_rate(architecture.shape.params_non_embedding, tokens, training),
            **training.optimizer.model_dump(),
        ),
        schedule=_schedule(tokens, batch, training),
        evaluation=EvaluationSpec(sets=evaluation_sets(config), **training.evaluation.model_dump()),
        stopping=_stopping(batch, training),
        seed=seed,
    )


def batch_tokens(tokens: float, training: TrainingConfig) -> int:
    """Tokens per optimizer step of a run of `tokens` tokens by the recipe's rule: whole contexts per micro-batch."""
    settings = training.batch.model_dump()
    batch = BATCH_RULES[settings.pop("rule")](tokens, **settings)
    unit = training.context * training.micro_batches
    return max(1, round(batch / unit)) * unit


def _unique_tokens(unique: int | None, tokens: int, training: TrainingConfig) -> int | None:
    """Whole contexts, or None where one pass over the text gives all the tokens."""
    if unique is None:
        return None
    whole = max(1, round(unique / training.context)) * training.context
    return whole if whole < tokens else None


def _stopping(batch: int, training: TrainingConfig) -> StoppingSpec | None:
    if training.stopping is None:
        return None
    every = max(1, round(training.stopping.every_tokens / batch)) * batch
    return StoppingSpec(every_tokens=every, patience=training.stopping.patience)


def peak_learning_rate(params: float, tokens: float, training: TrainingConfig) -> float:
    """Peak rate for non-embedding parameters and tokens by the recipe's rule, to four digits.

    Four, so that ids agree between machines whose pow differs in the last bit.
    """
    settings = training.learning_rate.model_dump()
    return float(f"{LEARNING_RATE_RULES[settings.pop('rule')](params, tokens, **settings):.4g}")


def _schedule(tokens: int, batch: int, training: TrainingConfig) -> ScheduleSpec:
    schedule = training.schedule
    warmup = min(schedule.warmup_tokens, int(schedule.warmup_fraction * tokens))
    return ScheduleSpec(
        name=schedule.name,
        warmup_tokens=warmup // batch * batch,
        cooldown_fraction=schedule.cooldown_fraction,
        final_fraction=schedule.final_fraction,
    )

"""Expand studies into runs: config in, RunSpecs and dataset ids out. Pure, and fast enough for parse time."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from pydantic import ValidationError

from scaling_lab.architectures import TransformerSpec
from scaling_lab.config import Config, GridBlock, StudyConfig, TrainingConfig, parse_config
from scaling_lab.errors import ConfigError
from scaling_lab.recipes import batch_tokens, make_schedule, peak_learning_rate, refuse_trunk_that_knows_its_horizon
from scaling_lab.spec import EvaluationSpec, OptimizerSpec, RunSpec, digest


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
            for tokens in _token_counts(block, architecture):
                yield from (_run_spec(architecture, tokens, seed, training, config) for seed in block.seeds)


def _override(training: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    raw = training.model_dump()
    for path, value in values.items():
        *parents, leaf = path.split(".")
        node = raw
        for key in parents:
            node = node.get(key, {})
        if leaf not in node:
            raise ConfigError(f"vary.{path}: not a key of `training`")
        node[leaf] = value
    return parse_config(TrainingConfig, raw, "vary")


def _architecture(n_layer: int, d_model: int, training: TrainingConfig, config: Config) -> TransformerSpec:
    return TransformerSpec(
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


def _token_counts(block: GridBlock, architecture: TransformerSpec) -> list[float]:
    per_token = architecture.shape.flops_per_token(block.flops)
    least, most = block.token_range or (0, float("inf"))
    return [*block.tokens, *(c / per_token for c in block.budgets if least <= c / per_token <= most)]


def _run_spec(
    architecture: TransformerSpec, tokens: float, seed: int, training: TrainingConfig, config: Config
) -> RunSpec:
    shape = architecture.shape
    if training.schedule.trunk:
        refuse_trunk_that_knows_its_horizon(shape, training)
    batch = batch_tokens(shape, tokens, training)
    tokens = max(1, round(tokens / batch)) * batch
    return RunSpec(
        dataset=dataset_id(config),
        architecture=architecture,
        tokens=tokens,
        batch_tokens=batch,
        optimizer=OptimizerSpec(
            learning_rate=peak_learning_rate(shape, tokens, training), **training.optimizer.model_dump()
        ),
        schedule=make_schedule(tokens, batch, training),
        evaluation=EvaluationSpec(sets=evaluation_sets(config), **training.evaluation.model_dump()),
        seed=seed,
    )

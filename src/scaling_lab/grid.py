"""Expand studies into runs: config in, RunSpecs out. Pure, and fast enough for parse time."""

from collections.abc import Iterator
from itertools import product
from typing import Any

from pydantic import ValidationError

from scaling_lab.architectures import ArchitectureSpec
from scaling_lab.config import Config, DataConfig, GridBlock, StudyConfig
from scaling_lab.datasets import dataset_id, evaluation_sets
from scaling_lab.errors import ConfigError
from scaling_lab.models import make_architecture
from scaling_lab.overrides import recipes
from scaling_lab.recipes import (
    batch_tokens,
    make_schedule,
    make_stopping,
    peak_learning_rate,
    refuse_trunk_that_knows_its_horizon,
    whole_unique_tokens,
)
from scaling_lab.spec import EvaluationSpec, OptimizerSpec, RunSpec


def expand_study(name: str, study: StudyConfig, settings: Config) -> dict[str, RunSpec]:
    """Runs of a study by id, in the order of its grid; equal runs of several blocks appear once.

    settings: the configuration as the study changes it (`overrides.study_settings`).

    Raises:
        ConfigError: naming the study, the block and the key, for a run that cannot exist.
    """
    runs: dict[str, RunSpec] = {}
    for index, block in enumerate(study.grid):
        try:
            runs |= {spec.run_id: spec for spec in _expand_block(block, settings)}
        except (ValidationError, ConfigError, ValueError) as error:
            raise ConfigError(f"config/studies/{name}.yaml: grid.{index}: {_reason(error)}") from None
    return runs


def study_datasets(study: StudyConfig, settings: Config) -> dict[str, DataConfig]:
    """The datasets of a study's runs by id, in the order of its grid."""
    return {dataset_id(recipe): recipe for block in study.grid for recipe in recipes(block, settings)}


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(_explain(detail) for detail in error.errors())
    return str(error)


def _explain(detail: Any) -> str:
    if detail["type"] == "value_error":  # one of ours, which names the field
        return str(detail["msg"].removeprefix("Value error, "))
    return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']} (got {detail['input']!r})"


def _expand_block(block: GridBlock, settings: Config) -> Iterator[RunSpec]:
    for recipe in recipes(block, settings):
        dataset = dataset_id(recipe)
        for shape in block.shapes:
            architecture = make_architecture(shape, recipe.training, recipe.tokenizer.size)
            horizons, unique = _token_counts(block, architecture), block.unique_tokens or (None,)
            for tokens, unique_tokens, seed in product(horizons, unique, block.seeds):
                yield _run_spec(architecture, tokens, unique_tokens, seed, recipe, dataset)


def _token_counts(block: GridBlock, architecture: ArchitectureSpec) -> list[float]:
    per_token = architecture.shape.flops_per_token(block.flops)
    least, most = block.token_range or (0, float("inf"))
    affordable = [c for c in block.budgets if least <= c / per_token <= most]
    if block.around is not None:
        size = architecture.shape.params(block.around.params)
        affordable = [c for c in affordable if block.around.holds(size, c)]
    return [*block.tokens, *(c / per_token for c in affordable)]


def _run_spec(
    architecture: ArchitectureSpec, tokens: float, unique_tokens: int | None, seed: int, recipe: Config, dataset: str
) -> RunSpec:
    training, shape = recipe.training, architecture.shape
    if training.schedule.trunk:
        refuse_trunk_that_knows_its_horizon(shape, training)
    batch = batch_tokens(shape, tokens, training)
    tokens = max(1, round(tokens / batch)) * batch
    return RunSpec(
        dataset=dataset,
        architecture=architecture,
        tokens=tokens,
        unique_tokens=whole_unique_tokens(unique_tokens, tokens, training),
        batch_tokens=batch,
        micro_batches=training.micro_batches,
        optimizer=OptimizerSpec(
            learning_rate=peak_learning_rate(shape, tokens, training), **training.optimizer.model_dump()
        ),
        schedule=make_schedule(tokens, batch, training),
        evaluation=EvaluationSpec(sets=evaluation_sets(recipe), **training.evaluation.model_dump()),
        stopping=make_stopping(batch, training),
        seed=seed,
        simulate=recipe.simulate,
    )

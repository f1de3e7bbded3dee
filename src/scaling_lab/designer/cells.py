"""Cells that can be trained: from sizes and tokens that a designer would like to the run specifications of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scaling_lab.config import Config, GridBlock, StudyConfig
from scaling_lab.dry_run import read_configuration
from scaling_lab.errors import ConfigError
from scaling_lab.experiment import load_experiment
from scaling_lab.grid import expand_study
from scaling_lab.science.accounting import FlopsConvention, ParamsConvention, Shape
from scaling_lab.science.design import Cells, Target
from scaling_lab.science.shapes import ShapeFamily
from scaling_lab.spec import RunSpec

LEAST_STEPS = 200
_OFF_SIZE = 1.3  # factor by which the nearest model that can be built may miss a size


@dataclass(frozen=True)
class Setting:
    """The configuration and the study after whose proportions, recipe and conventions cells are made."""

    name: str
    study: StudyConfig
    config: Config  # as the study changes it
    shapes: tuple[Shape, ...]
    params: ParamsConvention  # what the N of the law counts
    datasets: frozenset[str]  # token stores that its runs read

    @property
    def family(self) -> ShapeFamily:
        """The study's proportions, continued."""
        return ShapeFamily(self.shapes, self.params, self.flops)

    @property
    def flops(self) -> FlopsConvention:
        """What a budget counts."""
        return self.study.fit.flops_convention

    def target(self, flops: float) -> Target:
        """The decision at a budget, for models of the family."""
        family = self.family
        return Target(flops, family.flops_per_token, family.params_range)


@dataclass(frozen=True)
class Bench:
    """Runs that can be trained, and what they are to the designer; in one order."""

    specs: tuple[RunSpec, ...]
    cells: Cells

    def take(self, rows: Sequence[int]) -> Bench:
        """Some of them."""
        return Bench(tuple(self.specs[row] for row in rows), self.cells.take(list(rows)))

    @property
    def flops(self) -> float:
        """What all of them cost."""
        return float(self.cells.flops.sum())


def load_setting(
    root: Path, overlays: Sequence[Path], study: str | None, params: ParamsConvention | None = None
) -> Setting:
    """The configuration at `root`, and of its studies the one named, or the first; N counted by `params` or as it does.

    Raises:
        ConfigError: a file is missing or wrong, or the study trains no Transformer.
    """
    raw = read_configuration(root, overlays)
    experiment = load_experiment(raw | ({"studies": [study]} if study else {}), root / "config" / "studies")
    name = study or experiment.config.studies[0]
    runs = experiment.study_runs[name].values()
    models = {spec.architecture.shape for spec in runs}
    shapes = tuple(shape for shape in models if isinstance(shape, Shape) and shape.n_layer)
    if not shapes:
        raise ConfigError(f"config/studies/{name}.yaml: trains no Transformer; a design continues the shapes of some")
    counted = params or experiment.studies[name].fit.params_convention
    datasets = frozenset(spec.dataset for spec in runs)
    return Setting(name, experiment.studies[name], experiment.settings[name], shapes, counted, datasets)


def build(setting: Setting, wanted: Cells, most_tokens: float | None, most_flops: float) -> Bench:
    """The runs nearest to cells that are wanted: models that can be built, whole batches, each run once.

    Left out: sizes that no model comes near, runs of more tokens or FLOPs than allowed, and of fewer than 200 steps,
    which are all transient.
    """
    family, schedule = setting.family, setting.config.training.schedule
    least = schedule.warmup_tokens / schedule.warmup_fraction if schedule.trunk and schedule.warmup_fraction else 1.0
    most = most_tokens if most_tokens is not None else np.inf
    tokens: dict[tuple[int, int], set[int]] = {}
    for params in np.unique(wanted.params):
        shape = family.nearest(float(params))
        missed = abs(np.log(shape.params(family.params_convention) / params))
        data = wanted.tokens[wanted.params == params]
        if missed <= np.log(_OFF_SIZE):
            kept = {round(float(d)) for d in data if least <= d <= most}
            tokens.setdefault((shape.n_layer, shape.d_model), set()).update(kept)
    specs: dict[str, RunSpec] = {}
    for pair, amounts in tokens.items():
        if amounts:
            specs |= expand_study("designed", _study_of(setting, pair, sorted(amounts)), setting.config)
    flops = setting.flops
    allowed = (
        s for s in specs.values() if s.tokens <= most and s.flops(flops) <= most_flops and s.steps >= LEAST_STEPS
    )
    return _bench(setting, list(allowed))


def _study_of(setting: Setting, pair: tuple[int, int], tokens: Sequence[int]) -> StudyConfig:
    block = GridBlock.model_validate({"shapes": [pair], "tokens": tokens})
    return setting.study.model_copy(update={"grid": (block,)})


def _bench(setting: Setting, specs: Sequence[RunSpec]) -> Bench:
    params = np.array([float(spec.architecture.shape.params(setting.params)) for spec in specs])
    tokens = np.array([float(spec.tokens) for spec in specs])
    flops = np.array([spec.flops(setting.flops) for spec in specs])
    return Bench(tuple(specs), Cells(params, tokens, flops))

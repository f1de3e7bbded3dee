"""What the Snakefile needs to know at parse time: studies, runs, datasets and resources. Imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from math import ceil, log2
from pathlib import Path
from typing import Any

import yaml

from scaling_lab.config import Config, StudyConfig, parse_config
from scaling_lab.errors import ConfigError
from scaling_lab.grid import corpus_id, dataset_id, expand_study, source_ids
from scaling_lab.spec import RunSpec

# Training FLOP/s of one core on the smallest models here; resources ask for what the slowest machine needs.
SLOW_FLOPS_PER_SECOND = 5e9

# What a user may name in `corpus.paths`.
TEXT_ENDINGS = (".txt", ".txt.gz", ".txt.xz")


@dataclass(frozen=True)
class Experiment:
    """A validated configuration and everything that follows from it."""

    config: Config
    studies: Mapping[str, StudyConfig]
    texts: tuple[str, ...]  # the user's own files

    @cached_property
    def study_runs(self) -> dict[str, dict[str, RunSpec]]:
        """Runs by id, by study."""
        return {name: expand_study(name, study, self.config) for name, study in self.studies.items()}

    @cached_property
    def runs(self) -> dict[str, RunSpec]:
        """All runs by id; runs that several studies ask for appear once."""
        return {run: spec for runs in self.study_runs.values() for run, spec in runs.items()}

    @property
    def corpus(self) -> str:
        """Folder name under results/corpora."""
        return corpus_id(self.config)

    @property
    def dataset(self) -> str:
        """Folder name under results/tokens."""
        return dataset_id(self.config)

    def own_files(self, source: str) -> list[str]:
        """The user's files behind a folder of results/sources: none for a built-in source."""
        own = set(self.sources) - set(self.config.corpus.sources)
        return list(self.texts) if source in own else []

    @property
    def sources(self) -> tuple[str, ...]:
        """Folder names under results/sources of the texts to train on."""
        return source_ids(self.config)


def load_experiment(raw: Mapping[str, Any], study_folder: Path) -> Experiment:
    """Validate the merged configuration and the studies that it names, `study_folder/{study}.yaml`.

    Raises:
        ConfigError: with the file and the path of the key.
    """
    config = parse_config(Config, dict(raw), "config")
    studies = {name: _load_study(study_folder / f"{name}.yaml") for name in config.studies}
    own_files = tuple(file for pattern in config.corpus.paths for file in _text_files(pattern))
    experiment = Experiment(config, studies, own_files)
    for spec in experiment.runs.values():
        spec.check_devices(config.devices)
    return experiment


def _text_files(pattern: str) -> list[str]:
    """Files that a path, a folder or a glob of `corpus.paths` stands for, in order."""
    path = Path(pattern)
    found = map(str, path.rglob("*")) if path.is_dir() else glob(pattern, recursive=True)  # noqa: PTH207 - absolute too
    files = sorted(f for f in found if Path(f).is_file() and f.endswith(TEXT_ENDINGS))
    if not files:
        raise ConfigError(f"config: corpus.paths: {pattern!r} matches no {', '.join(TEXT_ENDINGS)} file")
    return files


def _load_study(path: Path) -> StudyConfig:
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise ConfigError(f"config: studies: {path.stem!r} is not one of {known} (files of {path.parent})")
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a mapping, not {type(raw).__name__}")
    return parse_config(StudyConfig, raw, str(path))


def runtime_minutes(spec: RunSpec, attempt: int = 1) -> int:
    """Minutes to ask a scheduler for, doubled at each attempt."""
    return ceil(5 + spec.flops("matmul") / SLOW_FLOPS_PER_SECOND / 60) << (attempt - 1)


def memory_mb(spec: RunSpec, attempt: int = 1) -> int:
    """Megabytes to ask for: the libraries, weights with gradients (twice for
    micro-batches) and two moments, activations, and the tokens."""
    a = spec.architecture
    weights = (16 if spec.micro_batches == 1 else 20) * a.shape.params_total
    activations = spec.batch_tokens / spec.micro_batches * (34 * a.n_layer * a.d_model + 3 * a.vocab_size) * 4
    return ceil(1000 + (weights + activations + 10 * spec.data_tokens) / 1e6) * attempt


def priority(spec: RunSpec) -> int:
    """Long runs first, so that no core waits for one at the end."""
    return int(100 * log2(spec.flops("matmul")))

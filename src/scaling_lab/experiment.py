"""What the Snakefile needs to know at parse time: studies, runs, datasets and resources. Imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import Any

import yaml

from scaling_lab.config import Config, DataConfig, StudyConfig, parse_config
from scaling_lab.datasets import corpus_id, source_id
from scaling_lab.errors import ConfigError
from scaling_lab.grid import expand_study, study_datasets
from scaling_lab.overrides import study_settings
from scaling_lab.spec import RunSpec
from scaling_lab.trunks import Trunk, find_trunks

# What a user may name in `corpus.paths`.
TEXT_ENDINGS = (".txt", ".txt.gz", ".txt.xz")


@dataclass(frozen=True)
class Experiment:
    """A validated configuration and everything that follows from it."""

    config: Config
    studies: Mapping[str, StudyConfig]
    settings: Mapping[str, Config]  # by study: the configuration as the study changes it

    @cached_property
    def study_runs(self) -> dict[str, dict[str, RunSpec]]:
        """Runs by id, by study."""
        return {name: expand_study(name, study, self.settings[name]) for name, study in self.studies.items()}

    @cached_property
    def runs(self) -> dict[str, RunSpec]:
        """All runs by id; runs that several studies ask for appear once."""
        return {run: spec for runs in self.study_runs.values() for run, spec in runs.items()}

    @cached_property
    def trunks(self) -> dict[str, Trunk]:
        """Trunks by id of the runs that share one."""
        return find_trunks(self.runs.values())

    @cached_property
    def study_datasets(self) -> dict[str, dict[str, DataConfig]]:
        """Datasets by id (folders of results/tokens), by study. A simulated experiment has none: it reads no token."""
        return {
            name: {} if self.config.simulate else study_datasets(study, self.settings[name])
            for name, study in self.studies.items()
        }

    @cached_property
    def datasets(self) -> dict[str, DataConfig]:
        """All datasets by id."""
        return {dataset: data for datasets in self.study_datasets.values() for dataset, data in datasets.items()}

    @cached_property
    def corpora(self) -> dict[str, DataConfig]:
        """What makes each split corpus, by id (folders of results/corpora)."""
        return {corpus_id(data): data for data in self.datasets.values()}

    @cached_property
    def texts(self) -> dict[str, list[str]]:
        """The user's own files behind each folder of results/sources; the built-in sources have none.

        Raises:
            ConfigError: a path of a corpus matches no file.
        """
        own = {source_id(data.corpus): data.corpus.paths for data in self.corpora.values() if data.corpus.paths}
        return {source: [file for path in paths for file in _text_files(path)] for source, paths in own.items()}


def load_experiment(raw: Mapping[str, Any], study_folder: Path) -> Experiment:
    """Validate the merged configuration and the studies that it names, `study_folder/{study}.yaml`.

    Raises:
        ConfigError: with the file and the path of the key.
    """
    config = parse_config(Config, dict(raw), "config")
    studies = {name: load_study(study_folder, name, config.scale) for name in config.studies}
    settings = {name: study_settings(study, config, f"config/studies/{name}.yaml") for name, study in studies.items()}
    experiment = Experiment(config, studies, settings)
    for spec in experiment.runs.values():
        spec.check_devices(config.devices, config.nodes)
    return experiment


def _text_files(pattern: str) -> list[str]:
    """Files that a path, a folder or a glob of `corpus.paths` stands for, in order."""
    path = Path(pattern)
    found = map(str, path.rglob("*")) if path.is_dir() else glob(pattern, recursive=True)  # noqa: PTH207 - absolute too
    files = sorted(f for f in found if Path(f).is_file() and f.endswith(TEXT_ENDINGS))
    if not files:
        raise ConfigError(f"config: corpus.paths: {pattern!r} matches no {', '.join(TEXT_ENDINGS)} file")
    return files


def load_study(folder: Path, name: str, scale: str | None = None) -> StudyConfig:
    """The study of `folder/{name}.yaml`; at another scale with the keys in which `folder/{scale}/{name}.yaml` differs.

    Raises:
        ConfigError: no such file, or the file and the path of a bad key.
    """
    paths = [folder / f"{name}.yaml", *([folder / scale / f"{name}.yaml"] if scale else [])]
    raw: dict[str, Any] = {}
    for path in paths:
        raw |= _read_study(path)
    return parse_config(StudyConfig, raw, " and ".join(map(str, paths)))


def _read_study(path: Path) -> dict[str, Any]:
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "nothing"
        raise ConfigError(f"config: studies: {path.stem!r} is not one of {known} (files of {path.parent})")
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a mapping, not {type(raw).__name__}")
    return raw

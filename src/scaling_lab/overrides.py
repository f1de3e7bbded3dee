"""The configuration as a study, and each cell of its grid, changes it: another text, tokenizer or recipe."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from scaling_lab.config import Config, GridBlock, StudyConfig, TokenizerConfig, TrainingConfig, parse_config
from scaling_lab.errors import ConfigError
from scaling_lab.frozen import Frozen


def study_settings(study: StudyConfig, config: Config, origin: str) -> Config:
    """`config` with the corpus, transfer texts, tokenizer and training keys that the study says differently.

    Raises:
        ConfigError: naming `origin` and the key, where a study's key does not go together with the configuration's.
    """
    own: dict[str, Any] = {}
    if study.corpus is not None:
        own["corpus"] = study.corpus
    if study.transfer is not None:
        own["transfer"] = study.transfer
    if study.tokenizer is not None:
        own["tokenizer"] = parse_config(
            TokenizerConfig, _with(config.tokenizer, study.tokenizer), f"{origin}: tokenizer"
        )
    if study.training is not None:
        raw = _with(config.training, study.training)
        own["training"] = parse_config(TrainingConfig, raw, f"{origin}: training")
    return config.model_copy(update=own)


def recipes(block: GridBlock, config: Config) -> Iterator[Config]:
    """The configuration of each combination of the values that a block varies.

    Raises:
        ConfigError: naming the varied key, if there is none such or it cannot have the value.
    """
    for values in product(*block.vary.values()):
        yield _vary(config, dict(zip(block.vary, values, strict=True))) if values else config


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, mapping by mapping: what an overlay does to a configuration."""
    both = {key: merged(base[key], value) for key, value in changes.items() if _are_mappings(base.get(key), value)}
    return {**base, **changes, **both}


def _are_mappings(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _with(base: Frozen, changes: Frozen) -> dict[str, Any]:
    return merged(base.model_dump(), changes.model_dump(exclude_unset=True))


def _vary(config: Config, values: Mapping[str, Any]) -> Config:
    raw = config.model_dump()
    for path, value in values.items():
        *parents, leaf = path.split(".")
        node: Any = raw if path == "corpus" or parents[:1] == ["tokenizer"] else raw["training"]
        for key in parents:
            node = node.get(key) if isinstance(node, dict) else None
        if not isinstance(node, dict) or leaf not in node:
            raise ConfigError(f"vary.{path}: not a key of `training`, nor `corpus` or a key of `tokenizer`")
        node[leaf] = value
    varied = parse_config(Config, raw, "vary")
    return _without_own_sources(varied) if "corpus" in values else varied


def _without_own_sources(config: Config) -> Config:
    """A text that a corpus is made of is none to transfer to."""
    others = tuple(source for source in config.transfer if source not in config.corpus.sources)
    return config.model_copy(update={"transfer": others})

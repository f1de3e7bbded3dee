"""Models of config/*.yaml: the one source of schema, defaults, documentation and validation."""

from scaling_lab.config.data import BuiltInSource, CorpusConfig, DataConfig, PlantedLaw, SplitConfig, TokenizerConfig
from scaling_lab.config.experiment import Config, ResourcesConfig, Strategy
from scaling_lab.config.parse import parse_config
from scaling_lab.config.study import PLANNING_FITS, FitConfig, GridBlock, PlanConfig, StudyConfig
from scaling_lab.config.training import BatchConfig, TrainingConfig

__all__ = [
    "PLANNING_FITS",
    "BatchConfig",
    "BuiltInSource",
    "Config",
    "CorpusConfig",
    "DataConfig",
    "FitConfig",
    "GridBlock",
    "PlanConfig",
    "PlantedLaw",
    "ResourcesConfig",
    "SplitConfig",
    "Strategy",
    "StudyConfig",
    "TokenizerConfig",
    "TrainingConfig",
    "parse_config",
]

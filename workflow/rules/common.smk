"""The only Python of the workflow: the validated configuration, and helpers that look things up in it."""

import os
import sys
from pathlib import Path

from scaling_lab.errors import ConfigError
from scaling_lab.experiment import load_experiment, memory_mb, priority, runtime_minutes
from scaling_lab.progress import follow_progress, hold_results_lock
from scaling_lab.spec import canonical_json

try:
    EXPERIMENT = load_experiment(config, Path(workflow.basedir) / "config" / "studies")
    RUNS = EXPERIMENT.runs
except ConfigError as error:
    raise WorkflowError(error)

CONFIG = EXPERIMENT.config
PACKAGE = Path(workflow.basedir) / "src" / "scaling_lab"

# How training is executed is told by the environment and not by a parameter: a change must not train anything again.
EXECUTION = "".join(
    f" SCALING_LAB_{key.upper()}={value}"
    for key in ("checkpoint_seconds", "checkpoint_tokens", "devices", "strategy")
    if (value := getattr(CONFIG, key)) is not None
)

# Jobs find the command line of the environment that runs Snakemake, activated or not.
shell.prefix(f"export PATH={Path(sys.executable).parent}:$PATH{EXECUTION}; ")


wildcard_constraints:
    study="[a-z0-9_]+",
    source="[a-z0-9_-]+",
    tokens="[0-9]+",
    run="[^/]+",


def code(*patterns):
    """Package files whose change reruns a cheap job. Training names none, so that only its spec and tokens count."""
    found = (path for pattern in patterns for path in PACKAGE.glob(pattern))
    return sorted(
        os.path.relpath(path) for path in found
    )  # relative: a clone that moves keeps its results


def study_of(wildcards):
    return EXPERIMENT.studies[wildcards.study]


def spec_of(wildcards):
    return RUNS[wildcards.run]


def run_files(name):
    """An input function: the file `name` of every run of a study."""
    return lambda wildcards: [
        f"results/runs/{run}/{name}" for run in EXPERIMENT.study_runs[wildcards.study]
    ]


def study_files(pattern, names):
    """`pattern` filled with every study and every name that `names` gives for it."""
    return [
        pattern.format(study=study, name=name)
        for study, definition in EXPERIMENT.studies.items()
        for name in names(definition)
    ]


onstart:
    hold_results_lock(Path("results"))
    follow_progress(RUNS, Path("results"))

"""The only Python of the workflow: the validated configuration, and helpers that look things up in it."""

import functools
import gc
import re
import sys
from pathlib import Path

from scaling_lab.datasets import corpus_id, source_ids
from scaling_lab.errors import ConfigError
from scaling_lab.experiment import load_experiment
from scaling_lab.files import digest_of
from scaling_lab.nodes import check_nodes
from scaling_lab.progress import follow_progress, hold_results_lock
from scaling_lab.resources import (
    gpus_of_each_node,
    gpus_of_the_job,
    memory_mb,
    pack,
    priority,
    runtime_minutes,
    tasks,
    threads,
    trunk_pack,
    trunk_priority,
)
from scaling_lab.slurm import (
    correct_plugin,
    require_slurm,
    settle_queue,
    start_again,
)
from scaling_lab.spec import canonical_json

# A plan makes millions of objects that stay: looking for garbage every 700 of them costs a fifth of its time.
gc.set_threshold(100_000)

try:
    EXPERIMENT = load_experiment(config, Path(workflow.basedir) / "config" / "studies")
    RUNS = EXPERIMENT.runs
except ConfigError as error:
    raise WorkflowError(error)

try:
    TEXTS = EXPERIMENT.texts
except ConfigError as error:
    # A dry run also plans an experiment whose text lies on another machine.
    if not any(
        re.fullmatch("--dry-?run|-[a-zA-Z]*n[a-zA-Z]*", word) for word in sys.argv
    ):
        raise WorkflowError(error)
    TEXTS = {}
    print(f"{error}; planned without it", file=sys.stderr)

CONFIG = EXPERIMENT.config
PACKAGE = Path(workflow.basedir) / "src" / "scaling_lab"

# How training is executed is told by the environment and not by a parameter: a change must not train anything again.
EXECUTION = "".join(
    f" SCALING_LAB_{key.upper()}={value}"
    for key in (
        "checkpoint_seconds",
        "checkpoint_tokens",
        "devices",
        "nodes",
        "strategy",
        "compile",
    )
    if (value := getattr(CONFIG, key)) is not None
)

# Jobs find the command line of the environment that runs Snakemake, activated or not.
shell.prefix(f"export PATH={Path(sys.executable).parent}:$PATH{EXECUTION}; ")


wildcard_constraints:
    study="[a-z0-9_]+",
    source="[a-z0-9_-]+",
    tokens="[0-9]+",
    corpus="[^/]+",
    dataset="[^/]+",
    run="[^/]+",
    trunk="[^/]+",


@functools.cache
def code(*patterns):
    """Digest of package files, a parameter of cheap rules, which rerun when these say something else. Training has none."""
    found = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    return digest_of(found, PACKAGE)


def study_of(wildcards):
    return EXPERIMENT.studies[wildcards.study]


def spec_of(wildcards):
    return RUNS[wildcards.run]


def dataset_of(wildcards):
    return EXPERIMENT.datasets[wildcards.dataset]


def corpus_of(wildcards):
    return EXPERIMENT.corpora[wildcards.corpus]


def blocks_of(wildcards):
    corpus = corpus_id(dataset_of(wildcards))
    return f"results/corpora/{corpus}/blocks.parquet"


def corpus_files(name):
    """An input function: the file `name` of every text of a corpus."""
    return lambda wildcards: [
        f"results/sources/{source}/{name}"
        for source in source_ids(corpus_of(wildcards).corpus)
    ]


def trunk_of(wildcards):
    return EXPERIMENT.trunks[wildcards.trunk]


def segment_of(wildcards):
    return trunk_of(wildcards).segment(int(wildcards.tokens))


def segment_before(wildcards):
    """The manifest of the segment that one starts from, if any. Ancient: what it holds follows from its name alone."""
    tokens = trunk_of(wildcards).before(int(wildcards.tokens))
    return ancient(f"results/trunks/{wildcards.trunk}/{tokens}.json") if tokens else []


def branch_of(wildcards):
    """The manifest of the trunk that a run is the cooldown of, if any. Ancient, as above."""
    spec = spec_of(wildcards)
    if not spec.shares_trunk:
        return []
    return ancient(f"results/trunks/{spec.trunk_id}/{spec.branch_tokens}.json")


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


def plans_of(study):
    """Documents of a study beside its fits: results/plans/{study}/{name}.json."""
    choices = ["approaches", "sensitivity"] if study.plans else []
    return ["plan", "backtest", "noise", *choices]


onstart:
    hold_results_lock(Path("results"))
    if workflow.executor_plugin.name == "slurm":
        require_slurm()
        correct_plugin(Path(workflow.executor_settings.logdir))
        if settle_queue(Path(workflow.executor_settings.logdir)):
            start_again()
    elif not CONFIG.simulate:
        check_nodes(CONFIG.nodes)
    follow_progress(RUNS, Path("results"))

"""A chosen grid as the YAML of a study that `snakemake` runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from scaling_lab.config import StudyConfig, parse_config
from scaling_lab.designer.cells import Bench, Setting
from scaling_lab.grid import expand_study
from scaling_lab.spec import RunSpec

SEEDS = (0, 1, 2)
SEED_CELLS = 2  # cheapest runs that are trained with every seed, where the noise of seeds is not known yet
_KEPT = {"fit", "corpus", "transfer", "tokenizer", "training"}  # sections of the study that a design continues
_WIDTH = 110


def grid_blocks(specs: Sequence[RunSpec], seeded: Sequence[RunSpec] = ()) -> list[dict[str, Any]]:
    """Blocks whose union is the runs: shapes that share their tokens together, and seeds of `seeded` apart."""
    tokens: dict[tuple[int, int], list[int]] = {}
    for spec in specs:
        tokens.setdefault((spec.architecture.n_layer, spec.architecture.d_model), []).append(spec.tokens)
    together: dict[tuple[int, ...], list[list[int]]] = {}
    for shape in sorted(tokens, key=lambda shape: (shape[1], shape[0])):
        together.setdefault(tuple(sorted(tokens[shape])), []).append(list(shape))
    blocks: list[dict[str, Any]] = [{"shapes": pairs, "tokens": list(data)} for data, pairs in together.items()]
    for spec in seeded:
        pair = [spec.architecture.n_layer, spec.architecture.d_model]
        blocks.append({"shapes": [pair], "tokens": [spec.tokens], "seeds": list(SEEDS)})
    return blocks


def seeded_cells(bench: Bench, money: float) -> tuple[RunSpec, ...]:
    """The cheapest runs whose further seeds `money` pays for, two at most."""
    order = bench.cells.flops.argsort()[:SEED_CELLS]
    chosen = []
    for row in order:
        extra = (len(SEEDS) - 1) * float(bench.cells.flops[row])
        if extra <= money:
            chosen.append(bench.specs[row])
            money -= extra
    return tuple(chosen)


def study_document(
    setting: Setting, question: str, blocks: Sequence[Mapping[str, Any]], target: float
) -> dict[str, Any]:
    """The study: question, grid, laws, figures and budget to plan for; the rest as in the study that it continues."""
    kept = setting.study.model_dump(mode="json", include=_KEPT, exclude_unset=True, exclude_none=True)
    return {
        "question": question,
        "grid": list(blocks),
        **{name: section for name, section in kept.items() if section},
        "fits": ["kaplan", "hoffmann"],
        "figures": ["learning_curves", "size_and_data", "optimal_allocation", "backtest"],
        "plan": {"budgets": [target], "budget_multiples": []},
    }


def runs_of(setting: Setting, document: Mapping[str, Any]) -> dict[str, RunSpec]:
    """The runs that `snakemake` would train for a study. Raises ConfigError if it is not a valid one."""
    study = parse_config(StudyConfig, dict(document), "designed study")
    return expand_study("designed", study, setting.config)


def study_yaml(document: Mapping[str, Any], comments: Sequence[str]) -> str:
    """YAML with comments on top, lists of numbers in one line."""
    head = "".join(f"# {line}\n" for line in comments)
    return head + yaml.dump(dict(document), sort_keys=False, width=_WIDTH, Dumper=FlatLists)


class FlatLists(yaml.SafeDumper):
    """Block style, but flat lists in flow style."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    flat = not any(isinstance(value, dict) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flat)


FlatLists.add_representer(list, _list)

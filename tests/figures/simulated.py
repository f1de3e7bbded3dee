"""A SIMULATED study: the losses of a planted Hoffmann law with seed noise, in the files that real runs leave."""

import json
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from scaling_lab.config import Config, StudyConfig
from scaling_lab.datasets import corpus_id, dataset_id
from scaling_lab.figures.draw import draw_figure
from scaling_lab.fits.approaches import run_approaches
from scaling_lab.fits.backtest import run_backtest
from scaling_lab.fits.noise import run_noise
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.plan import make_plan
from scaling_lab.fits.sensitivity import run_sensitivity
from scaling_lab.fits.stage import run_fit
from scaling_lab.grid import expand_study
from scaling_lab.spec import RunSpec, canonical_json
from scaling_lab.tables import collect
from scaling_lab.training.curves import Scale, curve_table
from scaling_lab.training.history import History

SIZES = [[2, 12], [2, 16], [2, 24], [3, 32], [3, 48], [4, 56], [4, 72]]
PLANTED = {"E": 1.4, "A": 22.0, "alpha": 0.30, "B": 150.0, "beta": 0.33}
NOISE = 0.002
OFFSETS = {"validation": 0.01, "test": 0.0, "unseen": 0.14, "wiki": 0.9, "hansard": 0.45}
CONFIG = Config(transfer=("wiki", "hansard"))
QUESTION = "SIMULATED: does the laboratory find the law that was planted in these losses?"


def study_config(**changes: Any) -> StudyConfig:
    """Budgets, sizes and data in the layout of the default study, smaller."""
    grid = [
        {"shapes": SIZES, "budgets": [1e11, 3e11, 1e12, 3e12], "token_range": [200_000, 9_000_000]},
        {"shapes": SIZES, "tokens": [7_700_000]},
        {"shapes": [[4, 72]], "tokens": [240_625, 481_250, 962_500, 1_925_000, 3_850_000]},
        {"shapes": [[2, 16], [3, 32]], "tokens": [962_500], "seeds": [0, 1, 2]},
    ]
    fits = ["params", "tokens", "compute", "kaplan", "hoffmann", "isoflop"]
    names = [
        "power_laws",
        "learning_curves",
        "size_and_data",
        "isoflop_profiles",
        "optimal_allocation",
        "backtest",
        "regret",
    ]
    raw = {"question": QUESTION, "grid": grid, "fits": fits, "figures": names, "fit": {"bootstrap": 60}}
    return StudyConfig.model_validate(raw | changes)


def write_tables(results: Path, study: StudyConfig, name: str = "simulated") -> dict[str, Any]:
    """Run folders, study.json and both tables under `results`; returns study.json."""
    runs = expand_study(name, study, CONFIG)
    for run, spec in runs.items():
        _write_run(results / "runs" / run, spec)
    document = {**study.model_dump(mode="json", exclude={"grid"}), "name": name}
    folder = results / "tables" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.json").write_text(json.dumps(document), encoding="utf-8")
    collect(list(runs), results / "runs", folder / "runs.parquet", folder / "curves.parquet")
    return document


def planted_loss(params: Any, tokens: Any) -> Any:
    """Nats per token of the planted law."""
    return PLANTED["E"] + PLANTED["A"] / params ** PLANTED["alpha"] + PLANTED["B"] / tokens ** PLANTED["beta"]


def _write_run(folder: Path, spec: RunSpec) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([spec.seed, spec.tokens, spec.architecture.d_model])
    (folder / "spec.json").write_text(canonical_json(spec), encoding="utf-8")
    params = spec.architecture.shape.params_non_embedding
    loss = planted_loss(params, spec.tokens) * np.exp(NOISE * rng.standard_normal())
    history = _history(spec, params, loss, rng)
    pq.write_table(curve_table(spec, history, Scale(2.7, 1.5e11)), folder / "metrics.parquet")
    (folder / "summary.json").write_text(json.dumps(_summary(spec, loss, history)), encoding="utf-8")


def _history(spec: RunSpec, params: int, final: float, rng: np.random.Generator) -> History:
    tokens = spec.batch_tokens * np.arange(1, spec.steps + 1)
    steady = planted_loss(params, np.maximum(tokens, 20_000)) * 1.02
    mixed = np.minimum(steady, 6.93) + (final - steady[-1]) * (tokens / spec.tokens) ** 8
    losses = mixed * np.exp(0.01 * rng.standard_normal(spec.steps))
    return History(
        losses=losses.tolist(),
        gradient_norms=[0.5] * spec.steps,
        validation={spec.steps: float(final)},
        clock={0: 0.0, spec.steps: 12.0},
        memory={spec.steps: 10**9},
    )


def _summary(spec: RunSpec, loss: float, history: History) -> dict[str, Any]:
    shape = 1 + 0.9 / np.sqrt(np.arange(1, spec.architecture.context + 1))
    position = shape / shape.mean()
    evaluations = {
        name: {
            "loss_nats": loss + offset,
            "bits_per_byte": (loss + offset) / log(2) / 2.7,
            "tokens": 65536,
            "loss_by_position_nats": ((loss + offset) * position).tolist(),
        }
        for name, offset in OFFSETS.items()
    }
    return {
        "run": spec.run_id,
        "status": "ok",
        "steps": spec.steps,
        "tokens": spec.tokens,
        "train_loss_nats": history.smoothed(spec.steps),
        "evaluations": evaluations,
        "wall_s": 12.0,
        "tokens_per_s": spec.tokens / 12.0,
        "finished": 1.7e9,
        "device": "cpu",
        "threads": 1,
    }


def build(results: Path, study: StudyConfig, name: str) -> dict[str, Any]:
    """Tables, fits, plan, backtest and figures of a simulated study, by the code that makes the real ones."""
    document = write_tables(results, study, name)
    runs, curves = (results / "tables" / name / f"{table}.parquet" for table in ("runs", "curves"))
    options = FitOptions(bootstrap=study.fit.bootstrap)
    for fit in study.fits:
        run_fit(fit, runs, curves, results / "fits" / name, options)
    plans = results / "plans" / name
    run_backtest(runs, plans / "backtest.json", options)
    make_plan(runs, results / "fits" / name, plans / "backtest.json", plans / "plan.json", study.plan, CONFIG.training)
    run_noise(runs, plans / "noise.json", options)
    run_approaches(runs, curves, plans / "approaches.json", options, study.plan)
    run_sensitivity(runs, plans / "plan.json", plans / "sensitivity.json", options)
    for figure in study.figures:
        draw_figure(figure, name, results, results / "figures" / name / f"{figure}.svg")
    return document


def write_manifests(results: Path) -> tuple[Path, Path]:
    """Manifests of a corpus and a token store with the keys of the real ones."""
    source = {"title": "Simulated prose", "licence": "CC BY-SA 4.0", "attribution": "Nobody & <friends>, `none`."}
    corpus = {
        "sha256": "2" * 64,
        "block_bytes": 16384,
        "duplicates_removed": 2,
        "unseen": ["prose/book"],
        "sources": {"prose": {**source, "documents": 3, "bytes": 21_000_000, "sha256": "0" * 64}},
    }
    size = {"tokens": 400_000, "documents": 3, "bytes": 1_080_000, "bytes_per_token": 2.7}
    sets = {name: {**size, "sources": {"prose": source}} for name in ("train", *OFFSETS)}
    sets["wiki"]["sources"] = {"wiki": {**source, "licence": "Wiki licence"}}
    tokenizer = {"kind": "bpe", "sha256": "1" * 64}
    tokens = {"vocab_size": 1024, "tokenizer": tokenizer, "blocks_sha256": corpus["sha256"], "sets": sets}
    folders = results / "corpora" / corpus_id(CONFIG), results / "tokens" / dataset_id(CONFIG)
    paths = folders[0] / "manifest.json", folders[1] / "manifest.json"
    for path, manifest in zip(paths, (corpus, tokens), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest), encoding="utf-8")
    return paths


def simulated_results(folder: Path) -> Path:
    """Results with a study that everything can be fitted to and one that nothing can; built once per test session."""
    done = folder / "done"
    if not done.exists():
        build(folder, study_config(), "simulated")
        poor = study_config(
            question="SIMULATED: what becomes of a study too small for any law, <b>escaped</b>?",
            grid=[{"shapes": SIZES[:3], "tokens": [962_500]}],
        )
        build(folder, poor, "refused")
        write_manifests(folder)
        done.touch()
    return folder

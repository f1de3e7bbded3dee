"""A table of runs with a planted law, laid out as the default study is."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scaling_lab.cli import main
from scaling_lab.science.accounting import FLOPS_CONVENTIONS, Shape
from scaling_lab.science.laws import hoffmann

PLANTED = {"E": 1.6, "A": 7.5, "B": 55.0, "alpha": 0.21, "beta": 0.24}
SIZES = ((1, 8), (2, 12), (2, 16), (2, 24), (3, 32), (3, 48), (4, 56), (4, 72))
BATCH, MOST = 2048, 7_700_000


def study_rows(noise: float = 0.003, seed: int = 0) -> list[dict[str, Any]]:
    """IsoFLOP profiles, every size on the most tokens, a data series of the largest, three seeds of two cells."""
    rng = np.random.default_rng(seed)
    shapes = [Shape(layers, width, max(1, width // 16) if width % 16 == 0 else 1, 4 * width, 128, 512)
              for layers, width in SIZES]  # fmt: skip
    cells = [
        (shape, budget / shape.flops_per_token("matmul"), 0) for budget in (1e11, 3e11, 1e12, 3e12) for shape in shapes
    ]
    cells = [cell for cell in cells if 240_000 <= cell[1] <= MOST]
    cells += [(shape, MOST, 0) for shape in shapes]
    cells += [(shapes[-1], MOST / 2**k, 0) for k in range(1, 6)]
    cells += [(shapes[i], MOST / 8, s) for i in (2, 4) for s in range(3)]
    rows = [row_of(shape, tokens, s, float(rng.standard_normal()) * noise) for shape, tokens, s in cells]
    return list({row["run"]: row for row in rows}.values())


def row_of(shape: Shape, tokens: float, seed: int, error: float) -> dict[str, Any]:
    steps = max(1, round(tokens / BATCH))
    tokens = steps * BATCH
    per_token = {name: shape.flops_per_token(name) for name, _ in FLOPS_CONVENTIONS}
    loss = float(hoffmann(shape.params_non_embedding, tokens, **PLANTED) * np.exp(error))
    return {
        "run": f"L{shape.n_layer}-d{shape.d_model}-t{tokens}-s{seed}",
        "seed": seed,
        "status": "ok",
        "n_layer": shape.n_layer,
        "d_model": shape.d_model,
        "n_head": shape.n_head,
        "d_ff": shape.d_ff,
        "context": shape.context,
        "vocab_size": shape.vocab_size,
        "params_non_embedding": shape.params_non_embedding,
        "params_with_head": shape.params_with_head,
        "params_total": shape.params_total,
        "tokens": tokens,
        "unique_tokens": tokens,
        "steps": steps,
        "batch_tokens": BATCH,
        "test_loss_nats": loss,
        "test_loss_by_position_nats": [loss] * 3,
        **{f"flops_per_token_{name}": float(value) for name, value in per_token.items()},
        **{f"flops_{name}": float(value * tokens) for name, value in per_token.items()},
    }


@pytest.fixture
def write_runs(tmp_path: Path) -> Callable[[list[dict[str, Any]]], Path]:
    """Write rows to a runs.parquet and return its path."""

    def write(rows: list[dict[str, Any]]) -> Path:
        path = tmp_path / "runs.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path

    return write


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `scaling-lab` in this process: exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["scaling-lab", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def study_table() -> Callable[[Path], Path]:
    """Write the planted study's runs.parquet into a folder."""

    def write(folder: Path) -> Path:
        pq.write_table(pa.Table.from_pylist(study_rows()), folder / "runs.parquet")
        return folder / "runs.parquet"

    return write


@pytest.fixture
def planted() -> dict[str, float]:
    return PLANTED


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return study_rows()


@pytest.fixture
def planted_row() -> Callable[[Shape, float, int, float], dict[str, Any]]:
    """The run of a shape on some tokens, by its seed and the error of its log loss."""
    return row_of

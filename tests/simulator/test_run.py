"""A simulated run leaves the files of a trained one, and can be taken for one by no reader."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.conftest import run_spec

from scaling_lab.config import BuiltInSource
from scaling_lab.errors import ConfigError
from scaling_lab.simulator.planted import PLANTED
from scaling_lab.simulator.run import OFFSETS, SEED_NOISE, simulate
from scaling_lab.spec import RunSpec, canonical_json
from scaling_lab.tables import collect, read_rows
from scaling_lab.training.run import train

LAWS = PLANTED["kaplan2020"]


def simulated_spec(**changes: Any) -> RunSpec:
    return run_spec(dataset="simulated-kaplan2020-gpt2-00000000", simulate="kaplan2020", **changes)


def results(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return json.loads((folder / "summary.json").read_text()), pq.read_table(folder / "metrics.parquet").to_pylist()


def structure(value: Any) -> Any:
    """The keys of nested mappings, and the length of lists."""
    if isinstance(value, dict):
        return {key: structure(inner) for key, inner in value.items()}
    return len(value) if isinstance(value, list) else None


def test_the_files_are_those_of_a_trained_run(dataset: Path, tmp_path: Path) -> None:
    """The guard against drift: a column or key that the trainer gains must be given, or left null, here."""
    train(run_spec(), dataset, tmp_path / "real", threads=1)
    simulate(simulated_spec(), tmp_path / "simulated")
    (real, _), (simulated, _) = results(tmp_path / "real"), results(tmp_path / "simulated")
    assert structure(simulated) == structure(real)
    schemas = [pq.read_schema(tmp_path / name / "metrics.parquet") for name in ("real", "simulated")]
    assert schemas[0] == schemas[1]
    steps = [pq.read_table(tmp_path / name / "metrics.parquet")["step"].to_pylist() for name in ("real", "simulated")]
    assert steps[0] == steps[1]


def test_ids_folders_summaries_and_tables_say_that_it_is_simulated(tmp_path: Path) -> None:
    spec = simulated_spec()
    assert spec.run_id.startswith("simulated-L1d16-")
    assert spec.run_id.split("-")[-1] != run_spec().run_id.split("-")[-1]
    simulate(spec, tmp_path / spec.run_id)
    summary, _ = results(tmp_path / spec.run_id)
    assert (summary["simulated"], summary["device"], summary["tokens_per_s"]) == (True, "simulated", None)
    (tmp_path / spec.run_id / "spec.json").write_text(canonical_json(spec))
    collect([spec.run_id], tmp_path, tmp_path / "runs.parquet", tmp_path / "curves.parquet")
    (row,) = read_rows(tmp_path / "runs.parquet", ["simulated", "corpus", "device"])
    assert row == {"simulated": True, "corpus": "simulated", "device": "simulated"}


def test_noise_is_a_function_of_the_run(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        simulate(simulated_spec(seed=seed), tmp_path / name)
    (a, curve_a), (b, curve_b), (c, curve_c) = (results(tmp_path / name) for name in "abc")
    assert (a["evaluations"], curve_a) == (b["evaluations"], curve_b)
    assert a["evaluations"] != c["evaluations"]
    assert curve_a != curve_c


def test_losses_are_those_of_the_laws_within_the_noise(tmp_path: Path) -> None:
    spec = simulated_spec(architecture__d_model=512, architecture__d_ff=2048, batch_tokens=2**15, tokens=2**15 * 4000)
    params = spec.architecture.shape.params_non_embedding
    simulate(spec, tmp_path)
    summary, curve = results(tmp_path)
    final = LAWS.final_loss(params, spec.tokens)
    assert summary["evaluations"]["test"]["loss_nats"] == pytest.approx(final, rel=5 * SEED_NOISE)
    late = [row for row in curve if row["step"] > 500]  # where the laws are below the loss of a uniform guess
    expected = LAWS.training_loss(params, np.array([float(row["step"]) for row in late]), spec.batch_tokens)
    measured = np.array([row["train_loss_nats"] for row in late])
    assert np.abs(np.log(measured / expected)).max() < 0.06
    assert abs(np.log(measured / expected).mean()) < 4 * SEED_NOISE
    scale = np.array([row["noise_scale_tokens"] for row in late])
    assert scale == pytest.approx(LAWS.critical_batch(expected), rel=0.1)


def test_other_texts_lie_above_the_test_set_and_late_positions_below_early_ones(tmp_path: Path) -> None:
    simulate(simulated_spec(evaluation__sets=["validation", "test", "wiki"]), tmp_path)
    sets = results(tmp_path)[0]["evaluations"]
    assert sets["wiki"]["loss_nats"] - sets["test"]["loss_nats"] == pytest.approx(OFFSETS["wiki"], abs=0.02)
    positions = sets["test"]["loss_by_position_nats"]
    assert np.mean(positions) == pytest.approx(sets["test"]["loss_nats"])
    assert positions == sorted(positions, reverse=True)
    during = [row["validation_loss_by_position_nats"] for row in results(tmp_path)[1] if row["validation_loss_nats"]]
    assert [len(along) for along in during] == [6, 6]  # 1, 2, 3 to 4, ..., 17 to 32
    assert all(along == sorted(along, reverse=True) for along in during)


def test_every_text_that_a_configuration_may_name_can_be_simulated() -> None:
    assert set(OFFSETS) == {"validation", "test", "unseen", *get_args(BuiltInSource)}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (run_spec(), "simulate is None; allowed: kaplan2020, kaplan2020_table5"),
        (run_spec(simulate="newton1687"), "simulate is newton1687; allowed"),
        (simulated_spec(evaluation__sets=["validation", "test", "mars"]), "evaluation set 'mars' cannot be simulated"),
    ],
)
def test_what_cannot_be_simulated_is_named(spec: RunSpec, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate(spec, tmp_path)
    assert not (tmp_path / "summary.json").exists()


def test_simulating_imports_no_torch() -> None:
    code = "import sys, scaling_lab.simulator.run; sys.exit(bool({'torch', 'lightning'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)

"""Trunk and cooldowns: the same bits as runs trained in one go, whatever was trained before, and nothing twice."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tests.conftest import run_spec

from scaling_lab.spec import RunSpec
from scaling_lab.training.curves import WALL_CLOCK
from scaling_lab.training.engine import last_checkpoint
from scaling_lab.training.module import LanguageModel
from scaling_lab.training.run import train
from scaling_lab.training.trunk import segment_folder, train_trunk
from scaling_lab.trunks import Trunk, find_trunks


def horizon(steps: int) -> RunSpec:
    """A run that leaves its trunk at four fifths of its steps."""
    return run_spec(tokens=128 * steps, schedule__trunk=True, architecture__dropout=0.1)


def branch_manifest(folder: Path, spec: RunSpec) -> Path:
    return folder / f"{spec.branch_tokens}.json"


def train_segments(trunk: Trunk, dataset: Path, folder: Path) -> None:
    for start, end in trunk.segments:
        before = folder / f"{start}.json" if start else None
        train_trunk(trunk.spec, end, dataset, folder / f"{end}.json", start=before, threads=1)


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    path = last_checkpoint(run_dir)
    assert path is not None
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=False)["state_dict"]
    return state


def assert_same_bits(a: Path, b: Path) -> None:
    """Losses, curve without the clock, and weights of two finished runs."""
    losses = [json.loads((folder / "summary.json").read_text())["evaluations"] for folder in (a, b)]
    curves = [pq.read_table(folder / "metrics.parquet").drop_columns(WALL_CLOCK).to_pylist() for folder in (a, b)]
    assert losses[0] == losses[1]
    assert curves[0] == curves[1]
    assert all(torch.equal(value, weights(b)[name]) for name, value in weights(a).items())


@pytest.fixture
def steps_trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The optimizer steps that have been taken, in their order."""
    steps: list[int] = []
    original = LanguageModel.training_step

    def training_step(self: LanguageModel, chunk: torch.Tensor, batch_idx: int) -> None:
        steps.extend(range(self.global_step, self.global_step + len(chunk)))
        original(self, chunk, batch_idx)

    monkeypatch.setattr(LanguageModel, "training_step", training_step)
    return steps


def test_cooldowns_of_a_trunk_have_the_bits_of_runs_in_one_go(
    dataset: Path, tmp_path: Path, steps_trained: list[int]
) -> None:
    specs = [horizon(steps) for steps in (40, 70, 100)]
    ((_, trunk),) = find_trunks(specs).items()
    train_segments(trunk, dataset, tmp_path / "trunk")
    assert steps_trained == list(range(80))
    for spec in specs:
        train(spec, dataset, tmp_path / "alone" / spec.run_id, threads=1)
        steps_trained.clear()
        branch = segment_folder(branch_manifest(tmp_path / "trunk", spec))
        train(spec, dataset, tmp_path / spec.run_id, threads=1, trunk_dir=branch)
        assert steps_trained == list(range(spec.branch_tokens // 128, spec.steps))
        assert_same_bits(tmp_path / spec.run_id, tmp_path / "alone" / spec.run_id)


def test_a_run_of_a_trunk_is_evaluated_where_it_leaves_and_at_its_end(dataset: Path, tmp_path: Path) -> None:
    spec = horizon(40)
    train(spec, dataset, tmp_path, threads=1)
    curve = pq.read_table(tmp_path / "metrics.parquet").to_pylist()
    losses = {row["step"]: row["validation_loss_nats"] for row in curve if row["validation_loss_nats"] is not None}
    assert list(losses) == [32, 40]
    assert losses[40] < losses[32]


def test_a_horizon_in_between_trains_its_cooldown_and_rewrites_the_same_manifests(
    dataset: Path, tmp_path: Path, steps_trained: list[int]
) -> None:
    short, between, long = (horizon(steps) for steps in (40, 70, 100))
    ((_, trunk),) = find_trunks([short, long]).items()
    train_segments(trunk, dataset, tmp_path)
    before = branch_manifest(tmp_path, long).read_bytes()
    branch_manifest(tmp_path, long).unlink()  # Snakemake removes the output of what it runs
    steps_trained.clear()
    ((_, more),) = find_trunks([short, between, long]).items()
    train_segments(more, dataset, tmp_path)
    assert steps_trained == list(range(32, 56))
    assert branch_manifest(tmp_path, long).read_bytes() == before


def test_a_trunk_without_its_checkpoint_is_trained_again_to_the_same_bits(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = horizon(40)
    ((_, trunk),) = find_trunks([spec]).items()
    train_segments(trunk, dataset, tmp_path / "trunk")
    branch = branch_manifest(tmp_path / "trunk", spec)
    train(spec, dataset, tmp_path / "a", threads=1, trunk_dir=segment_folder(branch))
    shutil.rmtree(branch.with_suffix("") / "checkpoints")
    train(spec, dataset, tmp_path / "b", threads=1, trunk_dir=segment_folder(branch))
    assert "no checkpoint here; training the trunk again" in capsys.readouterr().err
    assert_same_bits(tmp_path / "a", tmp_path / "b")


def test_a_trunk_whose_last_checkpoint_is_damaged_goes_on_from_the_one_before(
    dataset: Path, tmp_path: Path, steps_trained: list[int]
) -> None:
    spec = horizon(40)
    ((_, trunk),) = find_trunks([spec]).items()
    train_trunk(
        trunk.spec, spec.branch_tokens, dataset, branch := branch_manifest(tmp_path, spec), start=None, threads=1,
        checkpoint_tokens=128 * 20,
    )  # fmt: skip
    checkpoint = last_checkpoint(branch.with_suffix(""))
    assert checkpoint is not None
    checkpoint.write_bytes(b"")
    train(spec, dataset, tmp_path / "alone", threads=1)
    steps_trained.clear()
    train(spec, dataset, tmp_path / "run", threads=1, trunk_dir=segment_folder(branch))
    assert steps_trained == list(range(20, 40))
    assert_same_bits(tmp_path / "run", tmp_path / "alone")


def test_a_trunk_that_diverges_says_so_and_so_do_its_runs(dataset: Path, tmp_path: Path) -> None:
    spec = run_spec(schedule__trunk=True, optimizer__learning_rate=1e30, optimizer__clip_norm=1e30)
    ((_, trunk),) = find_trunks([spec]).items()
    train_segments(trunk, dataset, tmp_path / "trunk")
    branch = branch_manifest(tmp_path / "trunk", spec)
    manifest = json.loads(branch.read_text())
    train(spec, dataset, tmp_path / "run", threads=1, trunk_dir=segment_folder(branch))
    train(spec, dataset, tmp_path / "alone", threads=1)
    ends = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("run", "alone")]
    assert [end["status"] for end in ends] == ["diverged", "diverged"] == [manifest["status"]] * 2
    assert ends[0]["diverged_at_tokens"] == ends[1]["diverged_at_tokens"] == manifest["tokens"]
    assert manifest["weights_sha256"] is None

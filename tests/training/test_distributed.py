"""Two gloo processes on a CPU: the losses of one process, the files of one, and the same answer to a signal.

Nodes are pretended (tests/slurm has real ones): the second process is then started by `srun`, not by Lightning.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from tests.conftest import run_spec

from scaling_lab.errors import ConfigError
from scaling_lab.spec import RunSpec, canonical_json
from scaling_lab.training.checkpoints import latest_checkpoint
from scaling_lab.training.distributed import check_devices
from scaling_lab.training.run import train

SPEC: dict[str, Any] = {"tokens": 128 * 40, "micro_batches": 2, "architecture__n_layer": 2}


def command(spec: RunSpec, folder: Path, dataset: Path, *options: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "spec.json").write_text(canonical_json(spec))
    manifest = str(dataset / "manifest.json")
    return [sys.executable, "-m", "scaling_lab", "train", str(folder / "spec.json"), "--dataset", manifest, *options]


def curve(folder: Path, column: str) -> torch.Tensor:
    values = pq.read_table(folder / "metrics.parquet")[column].to_pylist()
    return torch.tensor([float("nan") if value is None else value for value in values])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = latest_checkpoint(folder / "checkpoints")
    assert checkpoint is not None
    state: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=False)["state_dict"]
    return state


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "of"), [("ddp", "--devices"), ("fsdp", "--devices"), ("fsdp", "--nodes")])
@pytest.mark.usefixtures("job_of_two_nodes")
def test_two_processes_train_what_one_does(dataset: Path, tmp_path: Path, strategy: str, of: str) -> None:
    spec = run_spec(**SPEC)
    train(spec, dataset, tmp_path / "one", threads=1)
    options = (of, "2", "--strategy", strategy)
    result = subprocess.run(
        command(spec, tmp_path / "two", dataset, *options), capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stderr
    for column in ("train_loss_nats", "gradient_norm", "noise_scale_tokens", "validation_loss_nats"):
        torch.testing.assert_close(
            curve(tmp_path / "two", column), curve(tmp_path / "one", column), rtol=2e-3, atol=1e-4, equal_nan=True
        )
    one, two = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("one", "two"))
    assert two["devices"] == 2
    assert two["started_at_steps"] == [0]
    assert two["evaluations"]["test"]["loss_nats"] == pytest.approx(one["evaluations"]["test"]["loss_nats"], rel=1e-4)
    for name, weight in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], weight, rtol=0, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_signal_to_the_first_process_stops_both_and_the_run_goes_on(
    dataset: Path, tmp_path: Path, strategy: str
) -> None:
    spec = run_spec(**{**SPEC, "tokens": 128 * 300})
    both = command(spec, tmp_path / "cut", dataset, "--devices", "2", "--strategy", strategy)
    both += ["--checkpoint-tokens", str(128 * 10)]
    process = subprocess.Popen(both, stderr=subprocess.PIPE, text=True)
    while latest_checkpoint(tmp_path / "cut" / "checkpoints") is None:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert "SIGTERM: stopped at step" in errors
    assert subprocess.run(both, timeout=240, capture_output=True).returncode == 0
    starts = json.loads((tmp_path / "cut" / "summary.json").read_text())["started_at_steps"]
    assert len(starts) == 2
    train(spec, dataset, tmp_path / "one", threads=1)
    torch.testing.assert_close(
        curve(tmp_path / "cut", "train_loss_nats"), curve(tmp_path / "one", "train_loss_nats"), rtol=0.02, atol=0.02
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_first_process_takes_the_other_with_it(dataset: Path, tmp_path: Path) -> None:
    spec = run_spec(**{**SPEC, "tokens": 128 * 2000})
    both = command(spec, tmp_path, dataset, "--devices", "2", "--checkpoint-tokens", "1280")
    process = subprocess.Popen(both, stderr=subprocess.DEVNULL)
    while latest_checkpoint(tmp_path / "checkpoints") is None:
        assert process.poll() is None
        time.sleep(0.05)
    (other,) = (int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{other}").exists() and "\nState:\tZ" not in Path(f"/proc/{other}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("changes", "devices", "message"),
    [
        (
            {},
            3,
            r"devices: 3 do not divide the 4 sequences .* \(batch_tokens = 128, micro_batches = 1",
        ),
        ({"micro_batches": 4}, 2, r"devices: 2 do not divide the 4 .* micro_batches = 4"),
    ],
)
def test_a_batch_that_devices_cannot_share_is_refused_before_training(
    dataset: Path, tmp_path: Path, changes: dict[str, int], devices: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(run_spec(**changes), dataset, tmp_path / "run", threads=1, devices=devices)
    assert not (tmp_path / "run").exists()


def test_shards_and_early_stopping_do_not_go_together() -> None:
    spec = run_spec(stopping={"every_tokens": 1280, "patience": 1})
    with pytest.raises(ConfigError, match="strategy: fsdp cannot keep the best weights of early stopping"):
        check_devices(spec, 1, 1, "fsdp")

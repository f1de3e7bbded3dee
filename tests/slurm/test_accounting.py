"""With accounting: its own words for a job that was cancelled, which the plugin takes for a running one; and a job of
two nodes as it tells it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.slurm.cluster import Cluster, call, processes_with, wait_until
from tests.slurm.conftest import (
    LIMIT_S,
    PACKAGES,
    ROOT,
    Study,
    assert_complete,
    read,
    require_packages,
    running,
    use_study,
)

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

TWO_NODES_STUDY = """\
question: does one job train on two nodes
grid:
  - {shapes: [[2, 48]], tokens: [200_000]}
fits: [params]
figures: []
"""
# A gloo process on each node, for a GPU that this cluster counts and does not have.
TWO_NODES = """\
studies: [cluster]
nodes: 2
resources: {gpus: 1}
training: {batch: {coefficient: 2048, exponent: 0}, micro_batches: 2}
"""


@pytest.fixture(scope="module")
def cluster(one_cluster: None) -> Iterator[Cluster]:
    """Stands in for the cluster without accounting."""
    require_packages(*PACKAGES, "slurmdbd", "mariadb-server")
    yield from running(Cluster(ROOT, accounting=True))


def test_a_cancelled_job_is_submitted_again_with_sacct(study: Study, cluster: Cluster) -> None:
    process = study.start("--slurm-status-command", "sacct")
    held = study.hold()
    call("scancel", held.job)
    log = study.finish(process)
    assert f"SLURM-job '{held.job}' failed, SLURM status is: 'CANCELLED'" in log
    assert_complete(study, held)


def test_two_nodes_are_one_job_and_train_what_two_devices_do_also_when_cancelled(fresh_study: Study) -> None:
    """To the last bit: gloo adds up the gradients of two processes in the same order wherever they are."""
    study = fresh_study
    use_study(study, TWO_NODES_STUDY)
    (study.root / "config" / "cluster.yaml").write_text(TWO_NODES)
    process = study.start("--slurm-status-command", "sacct")
    held = study.hold()
    call("scancel", held.job)
    reference = train_on_two_devices(study)
    study.finish(process)

    cancelled, completed = trained = jobs_of_training()
    assert cancelled[0] == held.job
    assert [(nodes, tres.count("gres/gpu=2")) for _, nodes, tres, _ in trained] == [("2", 1)] * 2
    assert [state.split()[0] for *_, state in trained] == ["CANCELLED", "COMPLETED"]
    assert steps(completed[0]) == {"batch": "1", "other_nodes": "1"}, "one launch, on the other node alone"
    wait_until(lambda: not processes_with(f"SLURM_JOB_ID={held.job}"), "nothing of the cancelled job left")
    assert study.starts()[0] == 0
    assert study.starts()[1] >= held.saved > 0
    assert read(study.long_run / "summary.json")["devices"] == 2
    for column in ("train_loss_nats", "gradient_norm", "noise_scale_tokens", "validation_loss_nats"):
        one_node, two_nodes = (
            pq.read_table(folder / "metrics.parquet")[column] for folder in (reference, study.long_run)
        )
        assert one_node.to_pylist() == two_nodes.to_pylist(), column


def train_on_two_devices(study: Study) -> Path:
    """Folder of the same run, trained here without SLURM and without interruption."""
    folder = study.root / "reference"
    folder.mkdir()
    shutil.copy(study.long_run / "spec.json", folder)
    dataset = read(folder / "spec.json")["dataset"]
    manifest = study.root / "results" / "tokens" / dataset / "manifest.json"
    command = [sys.executable, "-m", "scaling_lab", "train", str(folder / "spec.json"), "--dataset", str(manifest)]
    subprocess.run([*command, "--devices", "2", "--threads", "2"], check=True, timeout=LIMIT_S, env=dict(os.environ))
    return folder


def jobs_of_training() -> list[tuple[str, ...]]:
    """(id, nodes, resources, state) of the jobs that trained the study `cluster` on two nodes, the first one first."""
    fields = ("JobID", "NNodes", "AllocTRES", "State", "Comment")
    lines = call("sacct", "--allocations", "--noheader", "--parsable2", f"--format={','.join(fields)}").splitlines()
    rows = [tuple(line.split("|")) for line in lines]
    return [row[:-1] for row in rows if "rule_train" in row[-1] and row[1] == "2"]


def steps(job: str) -> dict[str, str]:
    """Number of nodes by name of the steps of a job."""
    lines = call("sacct", f"--jobs={job}", "--noheader", "--parsable2", "--format=JobID,JobName,NNodes").splitlines()
    rows = [line.split("|") for line in lines]
    return {name: nodes for number, name, nodes in rows if "." in number}

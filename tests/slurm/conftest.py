"""A real SLURM for each module, and a small study on it whose tokens are already there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.slurm.cluster import Cluster, only_cluster, stop_when_owner_dies, wait_until
from tests.workflow.conftest import Workflow, copy_repository

ROOT = Path("/tmp/scaling-lab-slurm")
PACKAGES = ("slurm-wlm", "munge")

STUDY = """\
question: do the runs of this study survive what a cluster does to them
grid:
  - {shapes: [[1, 8]], tokens: [2_000, 4_000, 6_000]}
  - {shapes: [[2, 48]], tokens: [150_000]}
fits: [params]
figures: []
"""
# A slow device by its own account, so that the long run has a job to itself and the short ones share one.
CONFIG = """\
studies: [cluster]
resources: {flops_per_second: 1.0e+8}
"""
OVERLAY = ("--configfile", "config/smoke.yaml", "config/cluster.yaml")
TABLE = "results/tables/cluster/runs.parquet"
ARGUMENTS = ("--profile", "slurm", TABLE, *OVERLAY)


def require_packages(*packages: str) -> None:
    """Install Debian packages, or skip with the reason."""
    missing = [name for name in packages if subprocess.run(["dpkg", "-s", name], capture_output=True).returncode]
    if not missing:
        return
    if os.geteuid() or shutil.which("apt-get") is None:
        pytest.skip(f"SLURM IS NOT TESTED: {' '.join(missing)} missing, and this is not root on a Debian system")
    command = f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {' '.join(missing)}"
    result = subprocess.run(command, shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode:
        pytest.skip(f"SLURM IS NOT TESTED: {' '.join(missing)} cannot be installed: {result.stdout[-500:]}")


@pytest.fixture(scope="module")
def one_cluster() -> Iterator[None]:
    """A second test session waits."""
    with only_cluster():
        yield


def running(cluster: Cluster) -> Iterator[Cluster]:
    cluster.start()
    pipe = stop_when_owner_dies(cluster)
    try:
        yield cluster
    finally:
        cluster.stop()
        os.close(pipe)


@pytest.fixture(scope="module")
def cluster(one_cluster: None) -> Iterator[Cluster]:
    require_packages(*PACKAGES)
    yield from running(Cluster(ROOT))


@dataclass(frozen=True)
class Study(Workflow):
    """A clone whose study `cluster` has three runs of no length and one that takes some seconds."""

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the study on SLURM; its standard error goes to `snakemake.log`."""
        command = [sys.executable, "-m", "snakemake", *ARGUMENTS, *arguments]
        with (self.root / "snakemake.log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=self.root, text=True, stdout=log, stderr=log, start_new_session=True
            )
        (ROOT / "run" / f"snakemake.{process.pid}.pid").write_text(str(process.pid))  # Cluster.stop ends it
        return process

    def finish(self, process: subprocess.Popen[str], seconds: float = 400) -> str:
        """What the study printed, which must have ended well."""
        code = process.wait(seconds)
        log = (self.root / "snakemake.log").read_text()
        assert code == 0, log
        return log

    @property
    def folders(self) -> list[Path]:
        """Folders of the runs, the shortest first."""
        specs = self.root.glob("results/runs/*/spec.json")
        return sorted((path.parent for path in specs), key=lambda folder: read(folder / "spec.json")["tokens"])

    @property
    def long_run(self) -> Path:
        """Folder of the run that takes some seconds."""
        return self.folders[-1]

    def starts(self) -> list[int]:
        """Steps at which the long run was started."""
        return read(self.long_run / "summary.json")["started_at_steps"]  # type: ignore[no-any-return]

    def trainer(self) -> int:
        """Process that trains the long run."""
        return int(read(self.long_run / "progress.json")["pid"])

    def job(self, cluster: Cluster) -> str:
        """SLURM's id of the job that trains the long run."""
        return next(
            job for job, state, comment in cluster.jobs() if state == "RUNNING" and self.long_run.name in comment
        )

    def wait_for_checkpoint(self) -> None:
        """Until the long run trains and has saved something to go on from."""
        wait_until(lambda: any(self.long_run.glob("checkpoints/*.ckpt")), "a checkpoint", 180)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def use_study(workflow: Workflow, study: str = STUDY) -> Study:
    """Give a clone the study `cluster`."""
    (workflow.root / "config" / "studies" / "cluster.yaml").write_text(study)
    (workflow.root / "config" / "cluster.yaml").write_text(CONFIG)
    return Study(workflow.root)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A clone with tokens, subsets and specs, and no run yet."""
    study = use_study(copy_repository(tmp_path_factory.mktemp("slurm") / "clone"))
    result = study.snakemake(TABLE, "--until", "subset", "specify_run", "list_runs", *OVERLAY)
    assert result.returncode == 0, result.stdout
    return study


@pytest.fixture
def study(prepared: Study, cluster: Cluster, tmp_path: Path) -> Iterator[Study]:
    """A copy of the prepared clone for one test; what the test started and left is stopped."""
    shutil.copytree(prepared.root, tmp_path / "clone", symlinks=True)
    yield Study(tmp_path / "clone")
    cluster.end("snakemake.*.pid")

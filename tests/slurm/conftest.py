"""A real SLURM for each module, and a small study on it whose tokens are already there."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.slurm.cluster import Cluster, call, only_cluster, stop_when_owner_dies, wait_until
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
QUICK = ("--profile", "slurm", "--slurm-init-seconds-before-status-checks", "2")
ARGUMENTS = (*QUICK, TABLE, *OVERLAY)

# Seconds after which something that was waited for will not come, also where a step takes thirty times as long as here.
LIMIT_S = 1200


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
class Held:
    """A suspended trainer: its process, the SLURM job that it is in, and the last step that it saved."""

    process: int
    job: str
    saved: int

    def go_on(self) -> None:
        os.kill(self.process, signal.SIGCONT)


@dataclass(frozen=True)
class Study(Workflow):
    """A clone whose study `cluster` has three runs of no length and one that takes some seconds."""

    cluster: Cluster | None = None

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the study on SLURM; its standard error goes to `snakemake.log`."""
        assert self.cluster
        command = [sys.executable, "-m", "snakemake", *ARGUMENTS, *arguments]
        with (self.root / "snakemake.log").open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                text=True,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=heed_interrupts,
            )
        self.cluster.note_user(process.pid)
        return process

    @property
    def log(self) -> str:
        """What the last Snakemake has printed so far."""
        return (self.root / "snakemake.log").read_text()

    def finish(self, process: subprocess.Popen[str]) -> str:
        """What the study printed, which must have ended well."""
        assert process.wait(LIMIT_S) == 0, self.log
        return self.log

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
        steps: list[int] = read(self.long_run / "summary.json")["started_at_steps"]
        return steps

    def hold(self) -> Held:
        """Suspend the long run's trainer as soon as it has saved something, so that a fault cannot come too late."""
        saved_and_told = ("checkpoints/*.ckpt", "progress.json")
        wait_until(lambda: all(any(self.long_run.glob(name)) for name in saved_and_told), "a checkpoint", LIMIT_S)
        trainer = int(read(self.long_run / "progress.json")["pid"])
        os.kill(trainer, signal.SIGSTOP)
        saved = max(int(path.name.split("-")[0]) for path in self.long_run.glob("checkpoints/*.ckpt"))
        return Held(trainer, self.job(), saved)

    def job(self) -> str:
        """SLURM's id of the job that trains the long run."""
        assert self.cluster
        jobs = self.cluster.jobs()
        return next(job for job, state, comment in jobs if state == "RUNNING" and self.long_run.name in comment)

    def status(self) -> str:
        """What `scaling-lab status` says."""
        program = Path(sys.executable).with_name("scaling-lab")
        return call(str(program), "status", "--results", str(self.root / "results"))


def heed_interrupts() -> None:
    """As in a terminal, also where this session runs in the background of a shell, which makes it ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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


@pytest.fixture(scope="session")
def begun(prepared: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One whose short runs are finished as well."""
    study = copy(prepared, tmp_path_factory.mktemp("slurm") / "clone")
    summaries = [str(folder.relative_to(study.root) / "summary.json") for folder in study.folders[:-1]]
    result = study.snakemake(*summaries, *OVERLAY)
    assert result.returncode == 0, result.stdout
    return study


def copy(study: Study, target: Path, cluster: Cluster | None = None) -> Study:
    shutil.copytree(study.root, target, symlinks=True)
    return Study(target, cluster)


@pytest.fixture
def quiet_cluster(cluster: Cluster) -> Iterator[Cluster]:
    """All nodes wait for work; what a test leaves on them is ended."""
    cluster.wait_until_idle()
    yield cluster
    cluster.clear()


@pytest.fixture
def fresh_study(prepared: Study, quiet_cluster: Cluster, tmp_path: Path) -> Study:
    """A study that has trained nothing."""
    return copy(prepared, tmp_path / "clone", quiet_cluster)


@pytest.fixture
def study(begun: Study, quiet_cluster: Cluster, tmp_path: Path) -> Study:
    """A study of which the long run is left."""
    return copy(begun, tmp_path / "clone", quiet_cluster)


def assert_complete(study: Study, *interrupted: Held) -> None:
    """All is trained, the long run in one attempt more than were interrupted, each from what the one before saved."""
    assert (study.root / TABLE).exists()
    first, *others = study.starts()
    assert first == 0
    assert len(others) == len(interrupted)
    assert all(start >= held.saved > 0 for start, held in zip(others, interrupted, strict=True)), "work was lost"
    assert [read(folder / "summary.json")["started_at_steps"] for folder in study.folders[:-1]] == [[0]] * 3

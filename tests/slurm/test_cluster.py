"""The throw-away cluster itself: on loopback only, and gone with its owner."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.slurm.cluster import LINK, Cluster, call, wait_until
from tests.slurm.conftest import PACKAGES, ROOT, require_packages

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

OWNER = f"""
import subprocess, sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tests.slurm.cluster import Cluster, stop_when_owner_dies
cluster = Cluster(Path({str(ROOT)!r}))
cluster.start()
pipe = stop_when_owner_dies(cluster)
job = ["sbatch", "--output=/dev/null", "--wrap=setsid sleep 987 & wait"]
subprocess.run(job, check=True, stdout=subprocess.DEVNULL)
while not subprocess.run(["pgrep", "-f", "^sleep 987"], stdout=subprocess.DEVNULL).returncode == 0:
    time.sleep(0.1)
print("up", flush=True)
time.sleep(600)
"""


def daemons() -> list[str]:
    """Command names of SLURM's daemons that run (a zombie does not)."""
    lines = call("ps", "-eo", "stat=,comm=").splitlines()
    running = [line.split()[1] for line in lines if not line.startswith("Z")]
    return [name for name in running if name in ("slurmctld", "slurmd", "munged", "slurmdbd", "mariadbd")]


def test_it_is_stopped_when_its_owner_is_killed(one_cluster: None) -> None:
    require_packages(*PACKAGES)
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        assert len(daemons()) == 5
        os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not daemons(), "no daemon left")
    wait_until(lambda: not call("pgrep", "-f", "^sleep 987", check=False), "no process of a job left")
    wait_until(lambda: not ROOT.exists(), "no folder left")
    assert not LINK.is_symlink()


def test_it_listens_on_loopback_only(cluster: Cluster) -> None:
    listening = [line.split() for line in call("ss", "-Hltnp").splitlines()]
    ours = [fields[3] for fields in listening if any(name in fields[-1] for name in ("slurm", "munge"))]
    assert len(ours) == 4
    assert all(address.startswith("127.0.0.1:") for address in ours)

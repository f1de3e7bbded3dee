"""What a job costs on SLURM besides its work: run on a throw-away cluster of this machine (root on Debian).

python benchmarks/slurm/run.py bare --jobs 1000          # the scheduler alone: sbatch of `true`
python benchmarks/slurm/run.py study --jobs 64           # through Snakemake, one SLURM job for each cell
python benchmarks/slurm/run.py study --jobs 64 --pack 16 # the same cells, sixteen to a SLURM job
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.slurm.cluster import Cluster, call, only_cluster, stop_when_owner_dies, wait_until  # noqa: E402 - the tests are no installed package

SNAKEFILE = """\
rule all:
    input: [f"cells/{{i}}" for i in range({jobs})]
    localrule: True
rule cell:
    output: "cells/{{i}}"
    group: "cells"
    resources: runtime=5, mem_mb=100, pack_place=1, mpi=0
    shell: "touch {{output}}"
"""


def bare(jobs: int, cluster: Cluster) -> None:
    """What `jobs` jobs that do nothing cost, from the first submission to the last end."""
    began, before = time.monotonic(), cluster.controller_cpu_s()
    for _ in range(jobs):
        call("sbatch", "--output=/dev/null", "--mem=100", "--wrap=true")
    submitted = time.monotonic()
    wait_until(lambda: not call("squeue", "--noheader").strip(), "an empty queue", 3600)
    ended = time.monotonic()
    a_job = (ended - began) / jobs
    print(f"{jobs} bare jobs: {(submitted - began) / jobs:.3f} s a job to submit, {a_job:.3f} s to the end of the last")
    print(f"processor time of slurmctld: {(cluster.controller_cpu_s() - before) / jobs:.4f} s a job")


def study(jobs: int, pack: int, cluster: Cluster) -> None:
    """What `jobs` cells that do nothing cost through Snakemake, `pack` of them to a SLURM job."""
    before = cluster.controller_cpu_s()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Snakefile").write_text(SNAKEFILE.format(jobs=jobs))
        command = [sys.executable, "-m", "snakemake", "--profile", str(ROOT / "profiles" / "slurm"), "--quiet", "all"]
        began = time.monotonic()
        subprocess.run([*command, "--group-components", f"cells={pack}"], cwd=folder, check=True)
        wall = time.monotonic() - began
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = [line.split() for line in call("sacct", "--noheader", "--format=JobID,TotalCPU").splitlines()]
    nodes = sum(_seconds(cpu) for job, cpu in rows if "." not in job)  # its steps are in it
    print(f"{jobs} cells, {pack} to a job: {wall:.0f} s in all, {wall / jobs:.2f} s a cell")
    print(f"processor time on the nodes: {nodes / jobs:.2f} s a cell")
    print(f"of Snakemake where it was started: {(spent.ru_utime + spent.ru_stime) / jobs:.3f} s a cell")
    print(f"of slurmctld: {(cluster.controller_cpu_s() - before) / jobs:.4f} s a cell")


def _seconds(elapsed: str) -> float:
    """Seconds of SLURM's [hours:]minutes:seconds."""
    return sum(float(part) * 60**power for power, part in enumerate(reversed(elapsed.split(":"))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["bare", "study"])
    parser.add_argument("--jobs", type=int, default=1000, help="jobs or cells")
    parser.add_argument("--pack", type=int, default=1, help="cells to a SLURM job")
    arguments = parser.parse_args()
    cluster = Cluster(Path("/tmp/scaling-lab-slurm-benchmark"), accounting=True)
    with only_cluster():
        cluster.start()
        stop_when_owner_dies(cluster)
        print(f"load of the machine: {os.getloadavg()[0]:.1f}")
        try:
            if arguments.what == "bare":
                bare(arguments.jobs, cluster)
            else:
                study(arguments.jobs, arguments.pack, cluster)
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()

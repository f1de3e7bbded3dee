"""A run of several devices: one SLURM job, in which Lightning alone starts the processes."""

import pytest
from tests.slurm.cluster import Cluster, call, wait_until
from tests.slurm.conftest import TABLE, Study, read, use_study

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

STUDY = """\
question: does one job train with two devices
grid:
  - {shapes: [[1, 8]], tokens: [40_000]}
fits: [params]
figures: []
"""
# Two gloo processes that ask for two GPUs, which this cluster counts and does not have.
CONFIG = """\
studies: [cluster]
devices: 2
resources: {gpus: 2}
training: {batch: {coefficient: 256, exponent: 0}}
"""


def test_two_devices_are_one_job_of_one_task_that_asks_for_two_gpus(fresh_study: Study, cluster: Cluster) -> None:
    study = fresh_study
    use_study(study, STUDY)
    (study.root / "config" / "cluster.yaml").write_text(CONFIG)
    process = study.start()
    wait_until(lambda: any("rule_train_wildcards" in comment for _, _, comment in cluster.jobs()), "the job")
    job = next(number for number, _, comment in cluster.jobs() if "rule_train_wildcards" in comment)
    fields = dict(field.split("=", 1) for field in call("scontrol", "show", "job", job).split() if "=" in field)
    assert (fields["NumTasks"], fields["NumCPUs"], fields["TresPerJob"]) == ("1", "2", "gres:gpu:2")
    study.finish(process)
    assert (study.root / TABLE).exists()
    (run,) = read(study.root / "results" / "tables" / "cluster" / "runs.json")
    summary = read(study.root / "results" / "runs" / run / "summary.json")
    assert summary["devices"] == 2
    assert summary["started_at_steps"] == [0], "one launch"

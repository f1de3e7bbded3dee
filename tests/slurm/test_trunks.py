"""Short trunks and their cooldowns, packed: a job for all segments of all trunks, and one for their cooldowns."""

import pytest
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import TABLE, Study, read, use_study

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

STUDY = """\
question: do segments of trunks and their cooldowns share jobs
grid:
  - shapes: [[1, 8], [1, 16]]
    tokens: [20_000, 40_000, 80_000]
    vary: {schedule.trunk: [true]}
fits: [params]
figures: []
"""
CONFIG = """\
studies: [cluster]
training: {batch: {coefficient: 512, exponent: 0}, schedule: {warmup_tokens: 2048}}
"""


def test_trunks_share_a_job_and_so_do_their_cooldowns(fresh_study: Study, cluster: Cluster) -> None:
    study = fresh_study
    use_study(study, STUDY)
    (study.root / "config" / "cluster.yaml").write_text(CONFIG)
    study.finish(study.start())
    assert (study.root / TABLE).exists()
    assert len(list(study.root.glob("results/trunks/*/*.json"))) == 2 * (3 + 1), "segments, and a spec each"
    comments = [comment for _, _, comment in cluster.jobs()]
    assert [sum(name in comment for comment in comments) for name in ("trunk_seconds", "train_seconds")] == [1, 1]
    for run in read(study.root / "results" / "tables" / "cluster" / "runs.json"):
        steps = read(study.root / "results" / "runs" / run / "summary.json")["started_at_steps"]
        assert steps[-1] > 0, f"{run} is a cooldown"

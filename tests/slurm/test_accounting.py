"""With accounting, and its own words for a job that was cancelled, which the plugin takes for a running one."""

from collections.abc import Iterator

import pytest
from tests.slurm.cluster import Cluster, call
from tests.slurm.conftest import PACKAGES, ROOT, Study, assert_complete, require_packages, running

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


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

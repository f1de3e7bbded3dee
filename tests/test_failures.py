import os
from pathlib import Path

import pytest

from scaling_lab.failures import last_words, slurm_verdicts
from scaling_lab.slurm import note_end

STARTED = "rule train:\n    wildcards: run={}\n"
ENDED = "slurmstepd: error: *** JOB {} ON n2 CANCELLED AT 2026-11-22T23:15:02{} ***\n"


def write_log(results: Path, name: str, text: str, age_s: float = 0) -> None:
    path = results / "logs" / "slurm" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1e9 - age_s, 1e9 - age_s))


@pytest.mark.parametrize(
    ("cause", "said"),
    [(" DUE TO TIME LIMIT", "time limit"), (" DUE TO PREEMPTION", "preemption"), ("", "cancelled")],
)
def test_how_slurm_ended_a_job(tmp_path: Path, cause: str, said: str) -> None:
    write_log(tmp_path, "rule_train/a/7.log", STARTED.format("a") + ENDED.format(7, cause))
    assert slurm_verdicts(tmp_path) == {"a": f"SLURM job 7 on n2 was ended: {said}"}


def test_a_pack_tells_of_all_that_it_started_and_a_newer_job_wins(tmp_path: Path) -> None:
    both = STARTED.format("a") + STARTED.format("b")
    write_log(tmp_path, "group_train_seconds_train/8.log", both + ENDED.format(8, " DUE TO TIME LIMIT"), age_s=60)
    write_log(tmp_path, "rule_train/b/9.log", STARTED.format("b") + ENDED.format(9, ""))
    verdicts = slurm_verdicts(tmp_path)
    assert "job 8" in verdicts["a"]
    assert "job 9" in verdicts["b"]


@pytest.mark.parametrize(("state", "said"), [("NODE_FAIL", "node fail"), ("OUT_OF_MEMORY", "out of memory")])
def test_what_slurm_itself_does_not_write_into_the_log(tmp_path: Path, state: str, said: str) -> None:
    write_log(tmp_path, "rule_train/a/7.log", STARTED.format("a"))
    note_end(tmp_path / "logs" / "slurm", "7", state)
    assert slurm_verdicts(tmp_path) == {"a": f"SLURM job 7 ended: {said}"}


def test_a_job_that_failed_by_itself_has_no_verdict(tmp_path: Path) -> None:
    write_log(tmp_path, "rule_train/a/7.log", STARTED.format("a") + "WorkflowError\n")
    assert slurm_verdicts(tmp_path) == {}


def test_last_words_are_the_last_line_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "train" / "a.log"
    log.parent.mkdir(parents=True)
    assert last_words("a", tmp_path) is None
    log.write_text("")
    assert last_words("a", tmp_path) is None
    log.write_text("Traceback\nOSError: no\n\n")
    assert last_words("a", tmp_path) == "OSError: no"

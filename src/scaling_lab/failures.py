"""Why a run is not finished: what SLURM did to its last job, and the end of its own log. Imports nothing heavy."""

import re
from pathlib import Path

TAIL_BYTES = 4096

# What slurmstepd writes at the end of a job that it ends, such as
# `slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-11-22T23:15:02 DUE TO TIME LIMIT ***`.
VERDICT = re.compile(r"\*\*\* JOB (\d+) ON (\S+) CANCELLED AT \S+(?: DUE TO ([A-Z ]+))? \*\*\*")
# What `slurm.note_end` adds, where nobody else says it: a lost node, the end of memory, a command that failed.
STATE = re.compile(r"^\[slurm\] job (\d+) ended as ([A-Z_]+)", re.MULTILINE)
RUN = re.compile(r"wildcards: run=(\S+)")


def slurm_verdicts(results: Path) -> dict[str, str]:
    """By run, how SLURM ended its last job: from the plugin's logs, which stay where a job did not end well."""
    verdicts: dict[str, str] = {}
    for log in sorted((results / "logs" / "slurm").rglob("*.log"), key=lambda path: path.stat().st_mtime):
        text = log.read_text(encoding="utf-8", errors="replace")
        if verdict := _verdict(text[-TAIL_BYTES:]):
            verdicts |= dict.fromkeys(RUN.findall(text), verdict)
    return verdicts


def _verdict(tail: str) -> str | None:
    if found := VERDICT.search(tail):
        job, node, cause = found.groups()
        return f"SLURM job {job} on {node} was ended: {(cause or 'cancelled').lower()}"
    if found := STATE.search(tail):
        return f"SLURM job {found[1]} ended: {found[2].replace('_', ' ').lower()}"
    return None


def last_words(run: str, results: Path) -> str | None:
    """Last line of the log of a run's last attempt; none where it is silent, as it is while all is well."""
    try:
        lines = (results / "logs" / "train" / f"{run}.log").read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), None)

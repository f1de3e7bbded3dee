"""Every job on a cluster parses the Snakefile again, three times over: it has to cost next to nothing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.workflow.conftest import copy_repository

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "lightning", "mlflow", "pandas", "matplotlib", "scipy", "pyarrow")

PARSE = f"""
import json, sys, time
from snakemake.cli import main
before, began = set(sys.modules), time.process_time()
try:
    main(["--list-rules", "--quiet", "all"])
except SystemExit as stop:
    assert not stop.code
seconds = time.process_time() - began
print(json.dumps([seconds, [name for name in {HEAVY!r} if name in set(sys.modules) - before]]))
"""


def test_parsing_costs_under_a_second_and_imports_nothing_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", PARSE], cwd=ROOT, text=True, capture_output=True, check=True)
    seconds, heavy = json.loads(result.stdout.splitlines()[-1])
    assert heavy == []
    assert seconds < 1


@pytest.mark.slow
def test_five_thousand_runs_are_planned_in_half_a_minute_and_two_gigabytes(tmp_path: Path) -> None:
    """Processor time, of which a machine half as fast may take twice as much."""
    root = copy_repository(tmp_path / "clone").root
    sizes, tokens = [[2, 8 * k] for k in range(1, 51)], [10_000 * k for k in range(1, 101)]
    study = {
        "question": "are many runs planned fast",
        "grid": [{"shapes": sizes, "tokens": tokens}],
        "fits": [],
        "figures": [],
    }
    (root / "config" / "studies" / "many.yaml").write_text(json.dumps(study))
    (root / "many.yaml").write_text("studies: [many]")
    command = ["snakemake", "-n", "--profile", "slurm", "--configfile", "config/smoke.yaml", "many.yaml"]
    with (root / "plan.txt").open("w") as plan:
        process = subprocess.Popen([sys.executable, "-m", *command], cwd=root, stdout=plan, stderr=plan)
        _, code, spent = os.wait4(process.pid, 0)
    assert code == 0, (root / "plan.txt").read_text()[-2000:]
    assert re.search(r"^train +5000$", (root / "plan.txt").read_text(), re.MULTILINE)
    assert spent.ru_utime + spent.ru_stime < 60
    assert spent.ru_maxrss < 2e6, "kilobytes"

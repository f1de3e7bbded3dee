"""Every job on a cluster parses the Snakefile again, three times over: it has to cost next to nothing."""

import json
import subprocess
import sys
from pathlib import Path

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

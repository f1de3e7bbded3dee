"""Write `params.content` as JSON. A script, because the ids of a large study do not fit on a command line."""

import json
from pathlib import Path
from typing import Any

snakemake: Any  # put here by Snakemake

Path(snakemake.output[0]).write_text(json.dumps(snakemake.params.content, indent=1), encoding="utf-8")

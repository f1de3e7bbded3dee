"""Write study.json. A script, because the ids of a large study do not fit on a command line."""

import json
from pathlib import Path
from typing import Any

snakemake: Any  # put here by Snakemake

study = json.loads(snakemake.params.study)
study |= {"name": snakemake.wildcards.study, "runs": list(snakemake.params.runs)}
study["training"] = json.loads(snakemake.params.training)
Path(snakemake.output.study).write_text(json.dumps(study, indent=1), encoding="utf-8")

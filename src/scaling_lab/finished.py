"""A finished run, kept beside its outputs: whoever removes them, the run is adopted again and not trained again.

Snakemake removes the outputs of a job when another member of its group fails. A run's folder is content-addressed, so
what was once trained there, on the same tokens, is the run.
"""

import shutil
from pathlib import Path

from scaling_lab.files import atomic_path, sha256_of
from scaling_lab.processes import is_first_process

OUTPUTS = ("metrics.parquet", "summary.json")


def keep_finished(run_dir: Path, manifest: Path) -> None:
    """Copy the outputs of a run to `finished/` in its folder, under the digest of the tokens that it was trained on.

    Processes that were started for further devices and nodes have written nothing, and keep nothing.
    """
    if not is_first_process():
        return
    for name in OUTPUTS:
        _copy(run_dir / name, _store(run_dir, manifest) / name)


def adopt_finished(run_dir: Path, manifest: Path) -> bool:
    """Put the outputs back if the run was finished on these tokens; say whether it was."""
    store = _store(run_dir, manifest)
    if not all((store / name).exists() for name in OUTPUTS):
        return False
    for name in OUTPUTS:
        _copy(store / name, run_dir / name)
    return True


def _store(run_dir: Path, manifest: Path) -> Path:
    return run_dir / "finished" / sha256_of(manifest)[:16]


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as partial:
        shutil.copyfile(source, partial)

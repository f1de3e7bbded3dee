"""The fit stage: one named fit of a study's table of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from scaling_lab.errors import ConfigError
from scaling_lab.files import sha256_of
from scaling_lab.fits.architectures import fit_architectures
from scaling_lab.fits.batch_tuning import fit_batch_tuning
from scaling_lab.fits.compute import fit_compute
from scaling_lab.fits.compute_min import fit_compute_min
from scaling_lab.fits.context import fit_context
from scaling_lab.fits.corrections import fit_corrections
from scaling_lab.fits.critical_batch import fit_critical
from scaling_lab.fits.data_limits import fit_data_limits
from scaling_lab.fits.datasets import fit_datasets
from scaling_lab.fits.depth_series import fit_depth_series
from scaling_lab.fits.early_stopped import fit_early_stopped
from scaling_lab.fits.envelope import fit_training_envelope
from scaling_lab.fits.frontier import fit_theory
from scaling_lab.fits.head_to_head import fit_head_to_head
from scaling_lab.fits.isoflop import fit_isoflop_profiles
from scaling_lab.fits.learning_rate import fit_learning_rate
from scaling_lab.fits.one_variable import fit_params, fit_tokens
from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import FitRecord, write_record
from scaling_lab.fits.overshoot import fit_overshoot
from scaling_lab.fits.sample_efficiency import fit_sample_efficiency
from scaling_lab.fits.shape import fit_shape
from scaling_lab.fits.stopping_bound import fit_stopping_bound
from scaling_lab.fits.surface import fit_hoffmann, fit_kaplan
from scaling_lab.fits.table import RunTable, read_runs
from scaling_lab.fits.training_law import fit_training
from scaling_lab.fits.transfer import fit_transfer
from scaling_lab.fits.tuning import fit_tuning

FITS: Mapping[str, Callable[[RunTable, FitOptions], FitRecord]] = {
    "params": fit_params,
    "tokens": fit_tokens,
    "compute": fit_compute,
    "kaplan": fit_kaplan,
    "hoffmann": fit_hoffmann,
    "isoflop": fit_isoflop_profiles,
    "overshoot": fit_overshoot,
    "data_limits": fit_data_limits,
    "head_to_head": fit_head_to_head,
    "tuning": fit_tuning,
    "early_stopped": fit_early_stopped,
    "shape": fit_shape,
    "architectures": fit_architectures,
    "transfer": fit_transfer,
    "context": fit_context,
    "learning_rate": fit_learning_rate,
    "datasets": fit_datasets,
    "depth_series": fit_depth_series,
}
"""Every fit of the table of runs by name. A new fit is one function and its entry here."""

CURVE_FITS: Mapping[str, Callable[[RunTable, Path, FitOptions], FitRecord]] = {
    "envelope": fit_training_envelope,
    "corrections": fit_corrections,
    "stopping_bound": fit_stopping_bound,
    "critical_batch": fit_critical,
    "training_law": fit_training,
    "compute_min": fit_compute_min,
    "frontier": fit_theory,
    "sample_efficiency": fit_sample_efficiency,
    "batch_tuning": fit_batch_tuning,
}
"""Every fit that reads the learning curves as well."""


def run_fit(name: str, runs: Path, curves: Path, output_dir: Path, options: FitOptions) -> None:
    """Fit one law and write `{name}.json`, `{name}.draws.parquet` and `{name}.points.parquet` to `output_dir`.

    runs, curves: tables of a study; only CURVE_FITS read the second. A law that these runs do not support is written
    as refused, with its typed reason.

    Raises:
        ConfigError: no such fit.
        TableError: the table of runs cannot be used.
    """
    if name not in FITS and name not in CURVE_FITS:
        raise ConfigError(f"fit {name!r}; allowed: {', '.join((*FITS, *CURVE_FITS))}")
    table = read_runs(runs)
    tables = {runs.name: table.sha256}
    if name in FITS:
        record = FITS[name](table, options)
    else:
        record = CURVE_FITS[name](table, curves, options)
        tables |= {curves.name: sha256_of(curves)}
    write_record(record, output_dir, options.as_json(), tables)

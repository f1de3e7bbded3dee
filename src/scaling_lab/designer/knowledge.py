"""What is known before a study is designed: the law and the noise of runs, published or from a study of one's own."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scaling_lab.errors import ConfigError, TableError
from scaling_lab.fits.folders import StudyFolder, study_folder
from scaling_lab.fits.stored import SURFACES, fitted_law, read_fit_file
from scaling_lab.science.accounting import PARAMS_CONVENTIONS, ParamsConvention
from scaling_lab.science.design import Noise, Target
from scaling_lab.science.design_prior import LawPrior, fitted_prior, published_prior
from scaling_lab.science.laws import LAWS
from scaling_lab.science.planner import FittedLaw

_ANCHOR = 1 / 30  # of the budget: about where the middle of a grid's money goes


@dataclass(frozen=True)
class Knowledge:
    """Noise of runs, and where it is from."""

    noise: Noise
    noise_source: str
    seeds_measured: bool


def law_of_fit(path: Path) -> FittedLaw:
    """A stored fit of a law of N and D. Raises TableError for one that was refused, or of another law."""
    stored = read_fit_file(path)
    name = stored.document["law"]
    if not stored.ok:
        raise TableError(f"{path}: {name} was refused: {stored.document['reason']['message']}; it says nothing of N*")
    if name not in SURFACES:
        raise TableError(f"{path}: a fit of {name}; allowed: of {' or '.join(SURFACES)}")
    return fitted_law(stored, path.with_suffix(".points.parquet"), LAWS[name].parameter_names)


def basis_of(folder: StudyFolder) -> FittedLaw:
    """The law that a study's plan rests on. Raises TableError where it rests on none of L(N, D)."""
    return law_of_fit(_basis_file(folder))


def _basis_file(folder: StudyFolder) -> Path:
    basis = folder.document("plan")["basis"]
    if basis not in SURFACES:
        raise TableError(f"{folder.plan_file('plan')}: rests on no law of L(N, D); allowed: a study that fits one")
    return folder.fits / f"{basis}.json"


def params_of(study: Path | None, fits: Sequence[Path]) -> ParamsConvention | None:
    """What N of the prior's law counts, where the user's own fits say it. Raises TableError if two say different."""
    paths = [*fits, *([_basis_file(study_folder(study))] if study and not fits else [])]
    counted = {read_fit_file(path).document["variables"]["N"]["column"] for path in paths}
    if len(counted) > 1:
        raise TableError(f"--prior: fits that count N as {' and '.join(sorted(counted))}; allowed: one count")
    return next((name for name, _ in PARAMS_CONVENTIONS if name in counted), None)


def prior_from(fits: Sequence[Path], study: Path | None, budget: float, target: Target, count: int,
               seed: int) -> LawPrior:  # fmt: skip
    """Draws of the fits that are named, of the law of a finished study, or of published laws.

    Raises:
        ConfigError: fits of different laws.
        TableError: a fit that cannot be used.
    """
    laws = [law_of_fit(path) for path in fits] or ([basis_of(study_folder(study))] if study else [])
    if not laws:
        return published_prior(_ANCHOR * budget, target.cost, target.params_range, count, seed)
    source = ", ".join(map(str, fits)) or f"{laws[0].law.name}, as {study} fitted it"
    try:
        return fitted_prior(laws, count, seed, source)
    except ValueError as error:
        raise ConfigError(f"--prior: {error}") from None


def noise_from(study: Path | None, seed_noise: float | None) -> Knowledge:
    """The noise of seeds and the departure from the law: those of a finished study, as far as it measured them."""
    usual = Noise()
    own, source, departure = seed_noise, "--seed-noise", usual.misfit
    if study is not None:
        folder = study_folder(study)
        measured = folder.optional_document("noise")
        if own is None and measured and measured["status"] == "ok":
            own, source = float(measured["pooled"]["relative_sd"]["value"]), f"measured in {study}"
        departure = _departure_of(folder, own if own is not None else usual.seed)
    if own is None:
        own, source = usual.seed, "assumed: no seeds measured"
    if not 0 < own < 1:
        raise ConfigError(f"--seed-noise {own:g}; allowed: a share of the loss above 0 and below 1, such as 0.004")
    said = f"of a run {100 * own:.2g} % ({source}); of the law {100 * departure:.2g} %"
    said += f" (lack of fit of {study})" if study is not None else " (assumed)"
    return Knowledge(Noise(own, departure), said, "assumed" not in source)


def tokens_of_text(results: Path, datasets: Collection[str]) -> float | None:
    """Training tokens of the text, the least of several; None where no token store is beside the results yet."""
    manifests = [results / "tokens" / name / "manifest.json" for name in datasets]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in manifests if path.exists()]
    return float(min(store["sets"]["train"]["tokens"] for store in found)) if found else None


def _departure_of(folder: StudyFolder, seed_noise: float) -> float:
    """By how much the losses of a study depart from the law of its plan; of one that took the law for exact, what its
    residuals show beyond the noise of seeds."""
    believed = read_fit_file(_basis_file(folder)).document["diagnostics"].get("departure")
    if believed:
        return float(believed["median"])
    return float(np.sqrt(max(float(np.std(basis_of(folder).residuals)) ** 2 - seed_noise**2, 0.0)))

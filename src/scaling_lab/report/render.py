"""Render the report: files of studies in, one self-contained HTML page out. It needs no script and no network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from scaling_lab.config import PLANNING_FITS
from scaling_lab.figures.backtest import LAW_NAMES
from scaling_lab.figures.inputs import StudyData
from scaling_lab.figures.labels import PARAMS, flops_words
from scaling_lab.files import write_text
from scaling_lab.report import answer, choices, evidence, provenance
from scaling_lab.report.captions import figure_views
from scaling_lab.report.claims import claims_view
from scaling_lab.report.formats import FILTERS
from scaling_lab.report.laws import law_views
from scaling_lab.trunks import flops_spent_of_rows

_PACKAGES = ("scaling-lab", "numpy", "scipy", "pyarrow", "matplotlib", "torch", "lightning", "tokenizers")


def render_report(
    studies: Sequence[str], corpora: Sequence[Path], tokens: Sequence[Path], results: Path, output: Path
) -> None:
    """Write the report of `studies` to `output` (.html).

    corpora, tokens: manifests of the split corpora and of the token stores that the runs read; a simulated study has
    none.

    Raises:
        TableError: a table, fit, plan or figure of a study is missing.
        CorpusError: a manifest is missing.
    """
    datasets = provenance.read_datasets(corpora, tokens)
    views = [study_view(StudyData(name, results), datasets) for name in studies]
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            studies=views,
            datasets=datasets,
            simulated=any(view["simulated"] for view in views),
            texts=provenance.texts(datasets),
            claims=claims_view(results),
            versions={name: version(name) for name in _PACKAGES},
        )
    )
    write_text(output, page)


def study_view(data: StudyData, datasets: Sequence[provenance.Dataset]) -> dict[str, Any]:
    """Everything that the page says about one study, as plain values."""
    plans = bool(PLANNING_FITS & set(data.study["fits"]))
    own = {row["tokens_id"] for row in data.runs}
    laws = law_views(data)
    ratio = provenance.bytes_per_token(data.runs, data.loss_column)
    return {
        "name": data.name,
        "simulated": data.simulated,
        "plans": plans,
        "datasets": sorted(own),
        "files": provenance.hashed_files(data.results, data.name, [d for d in datasets if d.name in own]),
        "question": data.study["question"].strip(),
        "options": data.options,
        "level": data.level,
        "params": PARAMS[data.params_column],
        "flops": flops_words(data.flops_convention),
        "flops_column": data.flops_column,
        "params_column": data.params_column,
        "loss_column": data.loss_column,
        "paragraphs": answer.answer_paragraphs(data, ratio),
        "plan": answer.plan_rows(data, ratio),
        "plan_notes": answer.plan_notes(data),
        "against": answer.reasons_not_to_trust(data) if plans else [],
        "hours": answer.hours_rows(data) if plans else [],
        "regret": answer.regret_rows(data),
        "backtest": data.backtest,
        "approaches": choices.approach_view(data) if plans else None,
        "sensitivity": choices.sensitivity_view(data) if plans else None,
        "laws": laws,
        "figures": figure_views(data),
        "transfer": evidence.transfer(data),
        "positions": evidence.by_position(data),
        "noise": data.noise,
        "runs": evidence.run_rows(data),
        "flops_apart": sum(row[data.flops_column] for row in data.runs),
        "flops_spent": flops_spent_of_rows(data.runs, data.flops_column),
        "warnings": evidence.warnings(data, laws, plans),
    }


def _environment() -> Environment:
    loader = PackageLoader("scaling_lab.report", ".")
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(["html.j2", "html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.globals["law_names"] = LAW_NAMES
    environment.globals["css"] = Markup(loader.get_source(environment, "report.css")[0])
    return environment

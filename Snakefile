"""Scaling Lab: from text and a compute budget to the model to train. See README.md.

The rules below are the experiment, in the order in which data flows.
"""

from snakemake.utils import min_version

min_version("9.20")


configfile: workflow.source_path("config/config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/tokens.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/fits.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/tracking.smk"


rule all:
    """Everything: the report, and the MLflow view of runs, fits and figures."""
    default_target: True
    input:
        report="results/report.html",
        published="results/mlflow.json",
    localrule: True

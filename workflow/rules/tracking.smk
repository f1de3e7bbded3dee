"""Tracking: MLflow as a view of the tables, written by this one rule. Parquet stays the truth."""


rule publish:
    """Bring results/mlflow.db up to date with runs, fits and figures; what is unchanged stays as it is."""
    input:
        tables=expand(rules.collect.output.runs, study=CONFIG.studies),
        fits=study_files("results/fits/{study}/{name}.json", lambda s: s.fits),
        plans=study_files("results/plans/{study}/{name}.json", plans_of),
        figures=study_files("results/figures/{study}/{name}.png", lambda s: s.figures),
    output:
        published="results/mlflow.json",
    log:
        "results/logs/publish.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        studies=[f"--study {study}" for study in CONFIG.studies],
    shell:
        "scaling-lab publish {params.studies} --results results --output {output.published} > {log} 2>&1"

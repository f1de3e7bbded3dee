"""Tables: the finished runs of a study as two tidy Parquet tables."""


rule specify_study:
    """Write the question, the options and the runs of a study."""
    output:
        study="results/tables/{study}/study.json",
    log:
        "results/logs/specify_study/{study}.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        study=lambda wildcards: study_of(wildcards).model_dump_json(),
        training=CONFIG.training.model_dump_json(),
        runs=lambda wildcards: list(EXPERIMENT.study_runs[wildcards.study]),
    script:
        "../scripts/specify_study.py"


rule collect:
    """One row per run in runs.parquet, one per recorded step in curves.parquet."""
    input:
        study=rules.specify_study.output.study,
        tokens=rules.tokenize.output.manifest,
        metrics=run_files("metrics.parquet"),
        summaries=run_files("summary.json"),
    output:
        runs="results/tables/{study}/runs.parquet",
        curves="results/tables/{study}/curves.parquet",
    log:
        "results/logs/collect/{study}.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    shell:
        "scaling-lab collect {input.study} --runs results/runs --output {output.runs} --curves {output.curves}"
        " > {log} 2>&1"

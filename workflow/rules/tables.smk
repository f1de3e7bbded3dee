"""Tables: the finished runs of a study as two tidy Parquet tables."""


rule list_runs:
    """Write the ids of a study's runs."""
    output:
        runs="results/tables/{study}/runs.json",
    log:
        "results/logs/list_runs/{study}.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        content=lambda wildcards: list(EXPERIMENT.study_runs[wildcards.study]),
    script:
        "../scripts/write_json.py"


rule collect:
    """One row per run in runs.parquet, one per recorded step in curves.parquet."""
    input:
        runs=rules.list_runs.output.runs,
        tokens=lambda wildcards: expand(
            rules.tokenize.output.manifest,
            dataset=EXPERIMENT.study_datasets[wildcards.study],
        ),
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
    params:
        code=code("tables.py"),
    shell:
        "scaling-lab collect {input.runs} --folder results/runs --output {output.runs} --curves {output.curves}"
        " > {log} 2>&1"

"""Fits: each law of a study with its intervals, the backtest, the plan for larger budgets, and what it hangs on."""

FIT_CODE = ["science/**/*.py", "fits/*.py"]


rule fit:
    """Fit one law. A law that the data cannot identify is written as refused, with its reason."""
    input:
        runs=rules.collect.output.runs,
        curves=rules.collect.output.curves,
    output:
        fit="results/fits/{study}/{fit}.json",
        draws="results/fits/{study}/{fit}.draws.parquet",
        points="results/fits/{study}/{fit}.points.parquet",
    log:
        "results/logs/fit/{study}/{fit}.log",
    benchmark:
        "results/benchmarks/fit/{study}/{fit}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        code=code(*FIT_CODE),
        options=lambda wildcards: study_of(wildcards).fit.model_dump_json(),
    shell:
        "scaling-lab fit-study {wildcards.fit} --options {params.options:q} --runs {input.runs} --curves {input.curves}"
        " --output {output.fit} > {log} 2>&1"


rule judge_claims:
    """The eight headline claims of Kaplan et al. 2020, each decided by the studies' fits, or why it cannot be."""
    input:
        fits=study_files("results/fits/{study}/{name}.json", lambda s: s.fits),
    output:
        claims="results/claims.json",
    log:
        "results/logs/judge_claims.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        code=code(*FIT_CODE),
        studies=[f"--study {study}" for study in CONFIG.studies],
    shell:
        "scaling-lab judge-claims {params.studies} --results results --output {output.claims} > {log} 2>&1"


rule backtest:
    """Fit without the most expensive runs and predict them."""
    input:
        runs=rules.collect.output.runs,
    output:
        backtest="results/plans/{study}/backtest.json",
    log:
        "results/logs/backtest/{study}.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        code=code(*FIT_CODE),
        options=lambda wildcards: study_of(wildcards).fit.model_dump_json(),
    shell:
        "scaling-lab backtest-study {input.runs} --options {params.options:q} --output {output.backtest} > {log} 2>&1"


rule measure_noise:
    """Standard deviation of the loss over seeds, of every cell that has three or more."""
    input:
        runs=rules.collect.output.runs,
    output:
        noise="results/plans/{study}/noise.json",
    log:
        "results/logs/measure_noise/{study}.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        code=code(*FIT_CODE),
        options=lambda wildcards: study_of(wildcards).fit.model_dump_json(),
    shell:
        "scaling-lab measure-noise {input.runs} --options {params.options:q} --output {output.noise} > {log} 2>&1"


rule compare_approaches:
    """What every approach says of the best size and data at the plan's budgets, in one table."""
    input:
        runs=rules.collect.output.runs,
        curves=rules.collect.output.curves,
    output:
        approaches="results/plans/{study}/approaches.json",
    log:
        "results/logs/compare_approaches/{study}.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        code=code(*FIT_CODE),
        options=lambda wildcards: study_of(wildcards).fit.model_dump_json(),
        plan=lambda wildcards: study_of(wildcards).plan.model_dump_json(),
    shell:
        "scaling-lab compare-approaches {input.runs} --curves {input.curves} --options {params.options:q} --plan {params.plan:q}"
        " --output {output.approaches} > {log} 2>&1"


rule plan:
    """The compute-optimal model for each budget of the study, with intervals and warnings."""
    input:
        runs=rules.collect.output.runs,
        fits=lambda wildcards: expand(
            rules.fit.output.fit, study=wildcards.study, fit=study_of(wildcards).fits
        ),
        backtest=rules.backtest.output.backtest,
    output:
        plan="results/plans/{study}/plan.json",
    log:
        "results/logs/plan/{study}.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        code=code(*FIT_CODE),
        plan=lambda wildcards: study_of(wildcards).plan.model_dump_json(),
        training=lambda wildcards: EXPERIMENT.settings[
            wildcards.study
        ].training.model_dump_json(),
    shell:
        "scaling-lab plan-study {input.runs} --fits results/fits/{wildcards.study} --backtest {input.backtest} --plan {params.plan:q} --training {params.training:q}"
        " --output {output.plan} > {log} 2>&1"


rule measure_sensitivity:
    """Decide the plan's first budget again under other choices, and without each run."""
    input:
        runs=rules.collect.output.runs,
        plan=rules.plan.output.plan,
    output:
        sensitivity="results/plans/{study}/sensitivity.json",
    log:
        "results/logs/measure_sensitivity/{study}.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        code=code(*FIT_CODE),
        options=lambda wildcards: study_of(wildcards).fit.model_dump_json(),
    shell:
        "scaling-lab measure-sensitivity {input.runs} --plan {input.plan} --options {params.options:q}"
        " --output {output.sensitivity} > {log} 2>&1"

"""Figures: each as svg and png, with the data that it shows beside it."""

# What all figures share.
FIGURE_CODE = [
    f"figures/{name}.py"
    for name in "distances drawing inputs labels marks sizes style".split()
]


rule figure:
    """Draw one figure of a study from its tables and fits."""
    input:
        runs=rules.collect.output.runs,
        curves=rules.collect.output.curves,
        fits=lambda wildcards: expand(
            rules.fit.output.fit, study=wildcards.study, fit=study_of(wildcards).fits
        ),
        backtest=rules.backtest.output.backtest,
        plan=rules.plan.output.plan,
    output:
        svg="results/figures/{study}/{figure}.svg",
        png="results/figures/{study}/{figure}.png",
        data="results/figures/{study}/{figure}.csv",
    log:
        "results/logs/figure/{study}/{figure}.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        code=lambda wildcards: code(*FIGURE_CODE, f"figures/{wildcards.figure}.py"),
    shell:
        "scaling-lab figure {wildcards.figure} --study {wildcards.study} --results results --output {output.svg}"
        " > {log} 2>&1"

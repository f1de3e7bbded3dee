"""Runs: one folder for each content-addressed run, trained once, whichever studies ask for it."""


rule specify_run:
    """Write the complete description of a run."""
    output:
        spec="results/runs/{run}/spec.json",
    log:
        "results/logs/specify_run/{run}.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        spec=lambda wildcards: canonical_json(spec_of(wildcards)),
    shell:
        "printf '%s\\n' {params.spec:q} > {output.spec} 2> {log}"


rule train:
    """Train one model. An interrupted run goes on from its checkpoint, which no rule declares and none removes."""
    input:
        spec=rules.specify_run.output.spec,
        tokens=lambda wildcards: f"results/tokens/{spec_of(wildcards).dataset}/manifest.json",
        subset=lambda wildcards: f"results/tokens/{spec_of(wildcards).dataset}/subsets/{spec_of(wildcards).tokens}.json",
    output:
        metrics="results/runs/{run}/metrics.parquet",
        summary="results/runs/{run}/summary.json",
    log:
        "results/logs/train/{run}.log",
    benchmark:
        "results/benchmarks/train/{run}.tsv"
    priority: lambda wildcards: priority(spec_of(wildcards))
    group:
        lambda wildcards: pack(spec_of(wildcards), CONFIG.resources)
    conda:
        "../../envs/cpu.yaml"
    threads: CONFIG.threads
    resources:
        mem_mb=lambda wildcards, attempt: memory_mb(spec_of(wildcards), attempt),
        runtime=lambda wildcards, attempt: runtime_minutes(
            spec_of(wildcards), CONFIG.resources, attempt
        ),
        gpu=CONFIG.resources.gpus,
        pack_place=1,
    shell:
        "scaling-lab train {input.spec} --dataset {input.tokens} --threads {threads} > {log} 2>&1"

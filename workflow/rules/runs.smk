"""Runs: one folder for each content-addressed run, trained once, whichever studies ask for it.

Runs that differ in horizon alone may share a trunk: a chain of segments at the constant rate, of which each run is a
cooldown.
"""


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


rule specify_trunk:
    """Write the complete description of a trunk."""
    output:
        spec="results/trunks/{trunk}/spec.json",
    log:
        "results/logs/specify_trunk/{trunk}.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        spec=lambda wildcards: canonical_json(trunk_of(wildcards).spec),
    shell:
        "printf '%s\\n' {params.spec:q} > {output.spec} 2> {log}"


rule train_trunk:
    """Train a trunk from one branch point to the next. The checkpoint, beside the manifest, is declared by no rule."""
    input:
        spec=rules.specify_trunk.output.spec,
        start=segment_before,
        tokens=lambda wildcards: f"results/tokens/{trunk_of(wildcards).spec.dataset}/manifest.json",
    output:
        manifest="results/trunks/{trunk}/{tokens}.json",
    log:
        "results/logs/train_trunk/{trunk}/{tokens}.log",
    benchmark:
        "results/benchmarks/train_trunk/{trunk}/{tokens}.tsv"
    priority: lambda wildcards: trunk_priority(trunk_of(wildcards))
    group:
        lambda wildcards: trunk_pack(trunk_of(wildcards), CONFIG)
    conda:
        "../../envs/cpu.yaml"
    threads: threads(CONFIG)
    resources:
        mem_mb=lambda wildcards, attempt: memory_mb(
            segment_of(wildcards), CONFIG, attempt
        ),
        runtime=lambda wildcards, attempt: runtime_minutes(
            segment_of(wildcards), CONFIG, attempt
        ),
        gpu=gpus_of_the_job(CONFIG),
        gres=gpus_of_each_node(CONFIG),
        nodes=CONFIG.nodes,
        tasks=tasks(CONFIG),
        pack_place=1,
        mpi=0,  # as for runs, below
    shell:
        "scaling-lab train-trunk {input.spec} {input.start} --tokens {wildcards.tokens} --dataset {input.tokens}"
        " --threads {threads} --output {output.manifest} > {log} 2>&1"


rule train:
    """Train one model, or the cooldown of one. An interrupted run goes on from its checkpoint, which no rule declares."""
    input:
        spec=rules.specify_run.output.spec,
        tokens=lambda wildcards: f"results/tokens/{spec_of(wildcards).dataset}/manifest.json",
        trunk=branch_of,
        subset=lambda wildcards: f"results/tokens/{spec_of(wildcards).dataset}/subsets/{spec_of(wildcards).data_tokens}.json",
    output:
        metrics="results/runs/{run}/metrics.parquet",
        summary="results/runs/{run}/summary.json",
    log:
        "results/logs/train/{run}.log",
    benchmark:
        "results/benchmarks/train/{run}.tsv"
    wildcard_constraints:
        run="(?!simulated-)[^/]+",
    priority: lambda wildcards: priority(spec_of(wildcards))
    group:
        lambda wildcards: pack(spec_of(wildcards), CONFIG)
    conda:
        "../../envs/cpu.yaml"
    threads: threads(CONFIG)
    resources:
        mem_mb=lambda wildcards, attempt: memory_mb(spec_of(wildcards), CONFIG, attempt),
        runtime=lambda wildcards, attempt: runtime_minutes(
            spec_of(wildcards), CONFIG, attempt
        ),
        gpu=gpus_of_the_job(CONFIG),
        gres=gpus_of_each_node(CONFIG),
        nodes=CONFIG.nodes,
        tasks=tasks(CONFIG),
        pack_place=1,
        mpi=0,  # no srun around each run of a pack: they share one trainer server (profiles/README.md)
    shell:
        "scaling-lab train {input.spec} {input.trunk} --dataset {input.tokens} --threads {threads} > {log} 2>&1"


rule simulate:
    """Draw a run's losses from planted laws instead of training it: the same files, marked, under names of their own."""
    input:
        spec=rules.specify_run.output.spec,
    output:
        metrics="results/runs/{run}/metrics.parquet",
        summary="results/runs/{run}/summary.json",
    log:
        "results/logs/simulate/{run}.log",
    wildcard_constraints:
        run="simulated-[^/]+",
    group:
        "simulate"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=1,
        pack_place=1,
        mpi=0,
    params:
        code=code("simulator/*.py"),
    shell:
        "scaling-lab simulate {input.spec} > {log} 2>&1"

"""Tokens: a tokenizer trained on the train split, shards in hash-shuffled order, nested subsets of D tokens."""

TOKENS = f"results/tokens/{EXPERIMENT.dataset}"


rule train_tokenizer:
    """Train (or unpack) the tokenizer on the train split alone."""
    input:
        blocks=rules.split_corpus.output.blocks,
    output:
        tokenizer=f"{TOKENS}/tokenizer.json",
    log:
        f"results/logs/train_tokenizer/{EXPERIMENT.dataset}.log",
    benchmark:
        f"results/benchmarks/train_tokenizer/{EXPERIMENT.dataset}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        kind=CONFIG.tokenizer.kind,
        vocab_size=CONFIG.tokenizer.size,
    shell:
        "scaling-lab train-tokenizer {input.blocks} --kind {params.kind} --vocab-size {params.vocab_size}"
        " --output {output.tokenizer} > {log} 2>&1"


rule tokenize:
    """Encode every split and every transfer text into shards with document ends and one manifest."""
    input:
        blocks=rules.split_corpus.output.blocks,
        tokenizer=rules.train_tokenizer.output.tokenizer,
        transfer=expand(
            "results/sources/{source}/documents.parquet", source=CONFIG.transfer
        ),
    output:
        manifest=f"{TOKENS}/manifest.json",
    log:
        f"results/logs/tokenize/{EXPERIMENT.dataset}.log",
    benchmark:
        f"results/benchmarks/tokenize/{EXPERIMENT.dataset}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        transfer=[
            f"--transfer results/sources/{name}/documents.parquet"
            for name in CONFIG.transfer
        ],
    shell:
        "scaling-lab tokenize {input.blocks} --tokenizer {input.tokenizer} {params.transfer}"
        " --output {output.manifest} > {log} 2>&1"


rule subset:
    """Name the first D tokens of the shuffled train stream: nothing but a manifest, so that subsets are nested.

    Its priority puts it before any training: that a text is too short for some run is said at once, while the runs
    that it is long enough for go on.
    """
    input:
        manifest=rules.tokenize.output.manifest,
    output:
        subset=f"{TOKENS}/subsets/{{tokens}}.json",
    log:
        f"results/logs/subset/{EXPERIMENT.dataset}/{{tokens}}.log",
    priority: 100_000
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    shell:
        "scaling-lab subset {input.manifest} --tokens {wildcards.tokens} --output {output.subset} > {log} 2>&1"

"""Tokens: a tokenizer trained on the train split, shards in hash-shuffled order, nested subsets of D tokens."""


rule train_tokenizer:
    """Train (or unpack) the tokenizer on the train split alone."""
    input:
        blocks=blocks_of,
    output:
        tokenizer="results/tokens/{dataset}/tokenizer.json",
    log:
        "results/logs/train_tokenizer/{dataset}.log",
    benchmark:
        "results/benchmarks/train_tokenizer/{dataset}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        kind=lambda wildcards: dataset_of(wildcards).tokenizer.kind,
        vocab_size=lambda wildcards: dataset_of(wildcards).tokenizer.size,
    shell:
        "scaling-lab train-tokenizer {input.blocks} --kind {params.kind} --vocab-size {params.vocab_size}"
        " --output {output.tokenizer} > {log} 2>&1"


rule tokenize:
    """Encode every split and every transfer text into shards with document ends and one manifest."""
    input:
        blocks=blocks_of,
        tokenizer=rules.train_tokenizer.output.tokenizer,
        transfer=lambda wildcards: expand(
            rules.fetch_corpus.output.documents, source=dataset_of(wildcards).transfer
        ),
    output:
        manifest="results/tokens/{dataset}/manifest.json",
    log:
        "results/logs/tokenize/{dataset}.log",
    benchmark:
        "results/benchmarks/tokenize/{dataset}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        transfer=lambda wildcards: [
            f"--transfer results/sources/{name}/documents.parquet"
            for name in dataset_of(wildcards).transfer
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
        subset="results/tokens/{dataset}/subsets/{tokens}.json",
    log:
        "results/logs/subset/{dataset}/{tokens}.log",
    priority: 100_000
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    shell:
        "scaling-lab subset {input.manifest} --tokens {wildcards.tokens} --output {output.subset} > {log} 2>&1"

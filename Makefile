# `make` lists what there is. Nothing but Python and make is needed.
PYTHON ?= python3
VENV ?= .venv
# Without that variable, which nproc would obey: it is set to give each run one thread.
JOBS ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)
SCALE ?= $(shell sed -n 's/^scale: *\([a-z]*\).*/\1/p' params.yaml)
BIN := $(abspath $(VENV))/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export PATH := $(BIN):$(PATH)
# Containers often set this; without compiled modules every start compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE
# A copy of the checkout without results, for the smoke scale: its numbers mean nothing.
SMOKE := work/smoke
NOT_COPIED := results/** benchmarks/** tests/** docs/** dvc.lock paper_tables/*.md paper_tables/*.csv paper_tables/*.tex

.PHONY: help repro pipeline smoke tables docs verify test test-all lock clean
.DEFAULT_GOAL := help

help: ## print this list
	@echo "usage: make TARGET [JOBS=$(JOBS)] [VENV=$(VENV)]"
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

repro: $(VENV)/ready $(if $(filter smoke,$(SCALE)),smoke,pipeline) ## train what has changed; write all tables and the report

# A run uses one core, so as many run side by side as there are cores. A failed run stops neither
# the others (hence `exit 1`: at DVC's own 255 xargs stops) nor the tables, which name it.
pipeline:
	@python -m llm4rec_recbole.cli status; \
	code=0; \
	changed=$$(python -m llm4rec_recbole.pipeline.data_summary); \
	[ -z "$$changed" ] || dvc repro --keep-going --single-item --force $$changed || code=$$?; \
	dvc repro --keep-going prepare encode || code=$$?; \
	dvc stage list --name-only | grep '^train_' | \
		xargs -P $(JOBS) -I{} sh -c 'dvc --wait-for-lock repro --single-item {} || exit 1' || code=$$?; \
	mkdir -p docs benchmarks/results $(addprefix results/,data runs users explanations faithfulness replay); \
	dvc stage list --name-only | grep -E '^(showcase|faithfulness|replay)@' | \
		xargs -P $(JOBS) -I{} sh -c 'dvc --wait-for-lock repro --single-item {} || exit 1' || code=$$?; \
	[ $$code -eq 0 ] || force=--force; \
	dvc repro --single-item $$force metrics compare tables data_sets report || code=$$?; \
	python -m llm4rec_recbole.cli status; \
	python -m llm4rec_recbole.cli readme; \
	cat paper_tables/table_1.md; \
	exit $$code

smoke: $(VENV)/ready ## run the whole pipeline with one epoch and one seed, in work/smoke
	@rm -rf $(SMOKE) && mkdir -p $(SMOKE)
	@git ls-files -z --cached --others --exclude-standard -- . $(patsubst %,':(exclude,glob)%',$(NOT_COPIED)) | \
		xargs -0 cp --parents --no-dereference -t $(SMOKE)
	@[ ! -e dataset ] || ln -s $(abspath dataset) $(SMOKE)/dataset
	@mkdir -p $(SMOKE)/benchmarks/results && touch $(SMOKE)/benchmarks/results/none  # or DVC warns
	@sed -i -e 's/^scale:.*/scale: smoke/' -e '/^- [1-9][0-9]*$$/d' $(SMOKE)/params.yaml  # one seed
	@cd $(SMOKE) && git init --quiet && $(MAKE) --no-print-directory pipeline VENV=$(abspath $(VENV))

tables: $(VENV)/ready ## write all tables, the report and README from the records and ranks in git
	@dvc repro --single-item --force compare tables data_sets report
	@python -m llm4rec_recbole.cli readme

docs: $(VENV)/ready ## build the documentation site in work/site
	$(PIP) install --quiet "mkdocs-material>=9.5" "mkdocstrings[python]>=0.27"
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict

verify: $(VENV)/ready ## train the deterministic methods and SASRec again; compare with the committed records
	@python -m llm4rec_recbole.pipeline.verify

test: $(VENV)/ready ## what CI runs: lint, types, all tests but the slow ones, a small pipeline
	ruff check
	ruff format --check
	mypy
	python -m pytest -n auto -m "not slow"
	python -m pytest -m slow tests/pipeline/test_small_pipeline.py

test-all: $(VENV)/ready ## every test
	python -m pytest -n auto

$(VENV)/ready: $(VENV)/locked pyproject.toml
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Where the registry's torch is a CUDA build, its CUDA libraries are not in the lock: torch's own
# exact pins bring them.
$(VENV)/locked: requirements.lock
	@echo "making $(VENV) from requirements.lock: some minutes"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --quiet --no-deps --no-compile --requirement requirements.lock
	@$(BIN)/python -c "import torch" 2>/dev/null || \
	$(PIP) install --quiet --no-compile --constraint requirements.lock torch
	@touch $@

lock: ## write the pins of what .venv holds to requirements.lock
	$(BIN)/python .ci/lock.py > requirements.new && mv requirements.new requirements.lock

clean: ## remove the environment, caches, and all that a run can make again
	rm -rf dataset/*/cache $(VENV) work log log_tensorboard saved .mypy_cache .ruff_cache .pytest_cache .hypothesis

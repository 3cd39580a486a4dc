# make repro: Tables from scratch.  make test: what CI runs.  Nothing but Python and make is needed.
PYTHON ?= python3
VENV ?= .venv
# Without that variable, which nproc would obey: it is set to give each cell one thread.
JOBS ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)
BIN := $(abspath $(VENV))/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export PATH := $(BIN):$(PATH)
# Containers often set this; without compiled modules every start compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: repro cells test test-all lock clean

repro: $(VENV)/ready cells

# A cell uses one core, so as many run side by side as there are cores. A failed cell stops neither
# the others (hence `exit 1`: at DVC's own 255 xargs stops) nor the tables, which name it.
cells:
	@dvc repro --keep-going prepare encode; \
	dvc stage list --name-only | grep '^run' | \
		xargs -P $(JOBS) -I{} sh -c 'dvc --wait-for-lock repro --single-item {} || exit 1'; \
	code=$$?; \
	mkdir -p $(addprefix results/,runs users explanations faithfulness replay); \
	dvc stage list --name-only | grep -E '^(showcase|faithfulness|replay)@' | \
		xargs -P $(JOBS) -I{} sh -c 'dvc --wait-for-lock repro --single-item {} || exit 1' || code=$$?; \
	[ $$code -eq 0 ] || force=--force; \
	dvc repro --single-item $$force metrics compare fairness_null tables data_sets report || code=$$?; \
	python -m llm4rec_recbole.pipeline.status; \
	python -m llm4rec_recbole.cli.readme; \
	cat paper_tables/table_1.md; \
	exit $$code

test: $(VENV)/ready
	ruff check
	ruff format --check
	mypy
	python -m pytest -m "not slow"
	python -m pytest -m slow tests/pipeline/test_small_pipeline.py

test-all: $(VENV)/ready
	python -m pytest

$(VENV)/ready: $(VENV)/locked pyproject.toml
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Where the registry's torch is a CUDA build, its CUDA libraries are not in the lock: torch's own
# exact pins bring them.
$(VENV)/locked: requirements.lock
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --no-deps --no-compile --requirement requirements.lock
	@$(BIN)/python -c "import torch" 2>/dev/null || \
	$(PIP) install --quiet --no-compile --constraint requirements.lock torch
	@touch $@

# The pins of what .venv holds: install something newer there, run the tests, then this.
lock:
	$(BIN)/python .ci/lock.py > requirements.new && mv requirements.new requirements.lock

# The environment, caches and whatever a run can make again; results and tables in git stay.
clean:
	rm -rf $(VENV) work log log_tensorboard saved .mypy_cache .ruff_cache .pytest_cache .hypothesis

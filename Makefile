# The list of things one can do here. `make help` prints it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Tests start Airflow and the server dozens of times; without kept bytecode each start would compile thousands of modules.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
LANE ?= airflow-3.3
VENV ?= .venv
DEMO_DIR ?= .demo
PORT ?= 8787
BIN := $(VENV)/bin
UV := $(BIN)/uv
CONSTRAINTS := constraints/$(LANE).txt
# What runs on every Airflow: waiting and deferred, an example DAG and an evaluation. Task state and retry policies come with 3.3.
TESTS_2_11 := tests/unit/operators tests/unit/hooks tests/unit/triggers tests/unit/sensors tests/unit/tasks tests/unit/links tests/unit/test_outages.py \
    tests/airflow/test_examples.py::test_evaluate_inference_batch \
    tests/airflow/test_evaluations.py::test_a_model_is_evaluated_in_the_worker_and_deferred
INSTALL := $(UV) pip install --python $(BIN)/python --constraints $(CONSTRAINTS) --build-constraints constraints/build.txt --quiet

.PHONY: help
help:  ## Print this list
	@grep -hE '^[a-z0-9.-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

# ---- what a newcomer runs ---------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.package  ## Evaluate two detectors through real Airflow on the embedded Nucleus (DATA=<folder> for your own COCO data)
	@exec $(BIN)/nucleus-local demo --work-dir "$(DEMO_DIR)" $(if $(DATA),--data "$(DATA)") $(if $(VERBOSE),--verbose)

.PHONY: serve
serve: $(VENV)/.package  ## Keep the embedded Nucleus running on what the last demo left (PORT=8787)
	@test -d "$(DEMO_DIR)/nucleus" || { echo "There is nothing to serve in $(DEMO_DIR) yet: run make demo first." >&2; exit 1; }
	@exec $(BIN)/nucleus-local serve --data-dir "$(DEMO_DIR)/nucleus" --port $(PORT)

.PHONY: test
test: $(VENV)/.test  ## Unit tests, the local server, the official client, DAGs in real Airflow
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup $(if $(TESTS),$(TESTS),)

.PHONY: test-stack
test-stack: $(VENV)/.test  ## Fuzz the embedded server; a quarter of the fault matrix; kill the parts of a whole Airflow while they upload
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup tests/stack/test_fault_matrix.py
	@$(BIN)/python -m pytest -q tests/stack --ignore tests/stack/test_fault_matrix.py

.PHONY: test-2.11
test-2.11:  ## The Airflow face once more on Airflow 2.11, in an environment of its own
	@$(MAKE) test LANE=airflow-2.11 VENV=$(VENV)-2.11 TESTS="$(TESTS_2_11)"

# ---- what a developer adds --------------------------------------------------------------------

.PHONY: check
check: $(VENV)/.test  ## Lint, format, strict types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/mypy tests/typing
	@$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.test  ## Apply the formatter and the safe fixes
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix-only --quiet .

.PHONY: fault-matrix
fault-matrix: $(VENV)/.test  ## Run every fault in every combination and write docs/fault-matrix.md
	@AIRFLOW__LOGGING__LOGGING_LEVEL=CRITICAL $(BIN)/python -m tests.fault_matrix

.PHONY: constraints
constraints: constraints-airflow-3.3 constraints-airflow-2.11  ## Pin anew what the demo, the tests and CI install, one file per supported lane

constraints-airflow-3.3: AIRFLOW := apache-airflow~=3.3.2
constraints-airflow-2.11: AIRFLOW := apache-airflow~=2.11.2
constraints-%: $(VENV)/.bootstrap
	@printf '%s\n' '$(AIRFLOW)' > $(VENV)/lane.txt
	@$(UV) pip compile --universal --python-version 3.11 --upgrade --quiet --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --all-extras --group test --group check --group s3 --group bench \
	    --constraints $(VENV)/lane.txt pyproject.toml | sed '/^airflow-provider-nucleus/d' > constraints/$*.txt

.PHONY: clean
clean:  ## Remove the environment, caches and the demo's results
	@rm -rf $(VENV) $(VENV)-2.11 $(DEMO_DIR) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# ---- environments -----------------------------------------------------------------------------

$(VENV)/.bootstrap: constraints/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "==> Creating $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints/build.txt uv
	@touch $@

$(VENV)/.package: $(VENV)/.bootstrap pyproject.toml $(CONSTRAINTS)
	@echo "==> Installing the package with its extras and Airflow ($$(wc -l < $(CONSTRAINTS)) pinned versions in $(CONSTRAINTS)); a minute on a cold cache"
	@$(INSTALL) --editable '.[all]'
	@touch $@

$(VENV)/.test: $(VENV)/.package
	@echo "==> Installing what the tests and checks need"
	@$(INSTALL) --editable '.[all]' --group test --group check --group s3
	@touch $@

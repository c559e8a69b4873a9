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
PORT ?= 8787
BIN := $(VENV)/bin
UV := $(BIN)/uv
CONSTRAINTS := constraints/$(LANE).txt
# What the tests and the checks need on top of the package.
GROUPS ?= --group test --group check --group s3
# What runs on every Airflow 3: the examples by hand, waiting and deferred; in a whole Airflow by schedule, too.
TESTS_3 := tests/airflow/test_examples.py::test_evaluate_inference_batch \
    tests/airflow/test_examples.py::test_a_batch_without_events_is_what_the_params_say tests/airflow/test_readme.py \
    tests/stack/test_examples.py
# A branch inside a mapped task group is followed up to 3.1, and refused on 3.2 and 3.3.
TESTS_3.0 := tests/airflow/test_mapped_gates.py::test_a_branch_inside_a_mapped_group_is_followed
# What waits for people does so by a trigger on 3.1 and 3.2, and by a state of its own from 3.3 on: once each.
TESTS_3.1 := $(TESTS_3.0) tests/stack/test_judged.py::test_people_approve_and_reject_within_a_mapped_group
# What runs on 2.11: waiting and deferred, an example DAG and an evaluation. Task state and retry policies come with 3.3.
TESTS_2_11 := tests/unit/operators tests/unit/hooks tests/unit/triggers tests/unit/sensors tests/unit/tasks tests/unit/links tests/unit/test_outages.py \
    tests/airflow/test_examples.py::test_evaluate_inference_batch \
    tests/airflow/test_evaluations.py::test_a_model_is_evaluated_in_the_worker_and_deferred \
    tests/airflow/test_mapped_gates.py tests/unit/assets tests/unit/lineage tests/unit/notifications \
    tests/airflow/test_examples.py::test_below_3_1_a_regression_fails_with_the_reason
# What the declared lower bounds are held by: the client and the engine, the server through the official client, an example DAG.
TESTS_LOWEST := tests/unit/client tests/unit/sources tests/unit/schema tests/unit/evaluation \
    tests/unit/gating/test_intervals.py tests/unit/gating/test_policy_reading.py \
    tests/local/test_server.py tests/local/test_official_client.py tests/local/test_box_rows.py tests/local/test_pages.py \
    tests/airflow/test_examples.py::test_evaluate_inference_batch
INSTALL := $(UV) pip install --python $(BIN)/python --constraints $(CONSTRAINTS) --build-constraints constraints/build.txt --quiet

.PHONY: help
help:  ## Print this list
	@grep -hE '^[a-z0-9.-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

# ---- what a newcomer runs ---------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.package  ## Judge two detectors on three days of pictures, in real Airflow on the embedded Nucleus (DATA=<folder> for your own COCO data)
	@exec $(BIN)/nucleus-local demo $(if $(DEMO_DIR),--work-dir "$(DEMO_DIR)") $(if $(DATA),--data "$(DATA)") $(if $(GEOMETRY),--geometry $(GEOMETRY)) $(if $(VERBOSE),--verbose)

.PHONY: serve
serve: DEMO_DIR ?= .demo
serve: $(VENV)/.package  ## Keep the embedded Nucleus running on what the demo left (DEMO_DIR=.demo PORT=8787)
	@test -d "$(DEMO_DIR)/nucleus" || { echo "There is nothing to serve in $(DEMO_DIR) yet: run make demo first." >&2; exit 1; }
	@exec $(BIN)/nucleus-local serve --data-dir "$(DEMO_DIR)/nucleus" --port $(PORT)

.PHONY: test
test: $(VENV)/.test  ## Unit tests, the local server, the official client, DAGs in real Airflow
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup $(if $(TESTS),$(TESTS),)

.PHONY: test-stack
test-stack: $(VENV)/.test  ## Fuzz the embedded server; a quarter of the fault matrix; kill the parts of a whole Airflow while they upload
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup tests/stack

.PHONY: test-pages
test-pages: $(VENV)/.pages  ## Open reports in Debian's Chromium, under the policy of strict hosts (SCREENSHOTS=<folder> leaves pictures)
	@tests/pages/install_chromium.sh
	@$(BIN)/python -m pytest -q tests/pages

.PHONY: test-2.11
test-2.11:  ## The Airflow face once more on Airflow 2.11, in an environment of its own
	@$(MAKE) test LANE=airflow-2.11 VENV=$(VENV)-2.11 TESTS="$(TESTS_2_11)"

.PHONY: test-3.0 test-3.1 test-3.2
test-3.0:  ## The examples on Airflow 3.0 (test-3.1, test-3.2: on those): by hand, by schedule, deferred
test-3.0 test-3.1 test-3.2: test-3.%:
	@$(MAKE) test LANE=airflow-3.$* VENV=$(VENV)-3.$* GROUPS="--group test" TESTS="$(strip $(TESTS_3) $(TESTS_3.$*))"

.PHONY: test-lowest
test-lowest:  ## The lowest versions that pyproject.toml declares, in an environment of its own
	@$(MAKE) test LANE=lowest VENV=$(VENV)-lowest GROUPS="--group test" TESTS="$(TESTS_LOWEST)"

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

.PHONY: peer-suite
peer-suite: $(VENV)/.test  ## Run the official client's own tests against the embedded server (PEER=<a checkout of release 0.18.8>)
	@$(BIN)/python -m tests.peer_suite $(if $(PEER),--source "$(PEER)")

.PHONY: constraints
constraints: $(addprefix constraints-,airflow-3.3 airflow-3.2 airflow-3.1 airflow-3.0 airflow-2.11 lowest)  ## Pin anew what the demo, the tests and CI install, one file per supported lane

COMPILE = $(UV) pip compile --universal --python-version 3.11 --upgrade --quiet --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links --all-extras
constraints-airflow-3.3: PINS := apache-airflow~=3.3.2
# 3.0 and 3.2 take what they cannot bear: later releases of FastAPI, svcs and PyJWT break their API server.
constraints-airflow-3.2: PINS := apache-airflow~=3.2.2 fastapi<0.137 svcs<26
constraints-airflow-3.1: PINS := apache-airflow~=3.1.8
constraints-airflow-3.0: PINS := apache-airflow~=3.0.6 fastapi<0.118 pyjwt<2.11
constraints-airflow-2.11: PINS := apache-airflow~=2.11.2
constraints-airflow-3.3 constraints-airflow-2.11: GROUPS += --group bench
constraints-airflow-3.3: GROUPS += --group pages
constraints-airflow-3.2 constraints-airflow-3.1 constraints-airflow-3.0 constraints-lowest: GROUPS := --group test
constraints-airflow-%: $(VENV)/.bootstrap
	@printf '%s\n' $(foreach pin,$(PINS),'$(pin)') > $(VENV)/pins.txt
	@$(COMPILE) $(GROUPS) --constraints $(VENV)/pins.txt pyproject.toml | sed '/^airflow-provider-nucleus/d' > constraints/airflow-$*.txt

# The direct dependencies at their lowest; below them, and for the tests, what fits.
constraints-lowest: $(VENV)/.bootstrap
	@$(COMPILE) --no-deps --resolution lowest-direct pyproject.toml > $(VENV)/pins.txt
	@$(COMPILE) $(GROUPS) --constraints $(VENV)/pins.txt pyproject.toml | sed '/^airflow-provider-nucleus/d' > constraints/lowest.txt

.PHONY: clean
clean:  ## Remove the environment, caches and the demo's results
	@rm -rf $(VENV) $(VENV)-2.11 .venv-peer $(VENV)-3.? $(VENV)-lowest .demo .demo-* $(DEMO_DIR) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

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
	@$(INSTALL) --editable '.[all]' $(GROUPS)
	@touch $@

$(VENV)/.pages: $(VENV)/.test
	@$(INSTALL) --group pages
	@touch $@

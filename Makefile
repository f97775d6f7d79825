# Operator: every task of a developer. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
STAMP := $(VENV)/.setup-done
MEMBERS := $(sort $(wildcard packages/*/pyproject.toml))
PACKAGES := $(patsubst %/pyproject.toml,%,$(MEMBERS))
PACKAGE_NAMES := $(notdir $(PACKAGES))
# Type checked one by one, because mypy takes one module of a name.
CONFTESTS := $(sort $(wildcard packages/*/tests/conftest.py))
SETUP_INPUTS := requirements/uv.txt requirements/dev.txt $(MEMBERS)

# Only this interpreter, never one that uv would fetch, and no progress bars in logs.
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# Trust what the machine trusts, as pip does, where the machine says what that is.
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),true,false)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where nothing compiled is kept, each process that a test or a demo starts compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

# $(call needs,PROGRAM,PACKAGE): root is given Debian's package of a program that is missing.
needs = command -v $(1) >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null \
	|| { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2); }

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check format lock clean
# A recipe that fails must not leave a file that looks made.
.DELETE_ON_ERROR:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with the pinned requirements and .venv/bin/operator
	@echo "Ready: $(BIN)/operator"

demo: $(STAMP) ## Watch Operator repair a simulated cluster (no key, no Docker)
	@$(BIN)/operator demo

test: check ## Everything a commit must pass: the checks, then the tests
	@$(call needs,ps,procps)
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not real and not slow"
	@$(BIN)/python -m pytest -n 4 --dist worksteal -m "real and not slow" # apart: they start processes, and mostly wait for them

test-slow: $(STAMP) ## The tests that are too slow for every commit (half an hour and more)
	@$(call needs,prometheus,prometheus)
	@$(BIN)/python -m pytest -m slow --timeout 600 || [ $$? -eq 5 ] # 5: there are none

check: $(STAMP) ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@set -e; for file in $(CONFTESTS); do $(BIN)/mypy --no-error-summary $$file; done
	@$(BIN)/lint-imports

format: $(STAMP) ## Let ruff format and repair what it safely can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: judge
judge: $(STAMP) ## Score the judgement on every scenario; writes docs/judgement.md
	@$(BIN)/operator lab run --seeds 3 --docs docs/judgement.md

.PHONY: judge-etcd
judge-etcd: $(STAMP) ## The same on real etcd clusters, in real time (about 5 minutes)
	@$(BIN)/operator lab run --subject etcd --jobs 2

.PHONY: judge-patroni
judge-patroni: $(STAMP) ## The same on real PostgreSQL under Patroni (about half an hour)
	@$(BIN)/operator lab run --subject patroni --jobs 2

# --- environment -----------------------------------------------------------------------

# Debian ships python3 without the parts that make an environment.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Operator needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; \
		else \
			echo "python3 cannot make environments here. Run: sudo apt-get install python3-venv" >&2; exit 1; \
		fi; }
	@$(PYTHON) -m venv $(VENV)

# uv is quick, but reads no pip.conf: where only that knows the way, pip does the work.
$(STAMP): $(SETUP_INPUTS) | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/uv.txt
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt \
		|| $(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(UV) pip install --quiet --python $(BIN)/python --offline \
		--no-deps --no-build-isolation $(addprefix --editable ,$(PACKAGES))
	@touch $@

# --- pinned requirements ---------------------------------------------------------------

# `make lock` keeps the pins that still fit; `make lock UPGRADE=1` takes the newest.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --quiet --no-header \
	--universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	$(addprefix --no-emit-package ,$(PACKAGE_NAMES)) $(if $(UPGRADE),--upgrade)

lock: $(BIN)/python ## Write requirements/*.txt anew from the pyproject files
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/uv.txt
	$(COMPILE) --group build --group dev --all-extras pyproject.toml $(MEMBERS) --output-file requirements/dev.txt
	$(COMPILE) --all-extras --constraint requirements/dev.txt $(MEMBERS) --output-file requirements/run.txt
	$(COMPILE) --group build --constraint requirements/dev.txt pyproject.toml --output-file requirements/uv.txt

# --- the oldest versions ---------------------------------------------------------------

# What the packages say they take at least, in an environment of its own, tested by today's tools.
LOWEST_BIN := .venv-lowest/bin

.PHONY: test-lowest
test-lowest: $(STAMP) ## The tests with the oldest versions that the packages take
	@$(PYTHON) -m venv --clear .venv-lowest
	@echo '*' > .venv-lowest/.gitignore
	@$(UV) pip install --quiet --python $(LOWEST_BIN)/python --resolution lowest-direct \
		$(foreach member,$(PACKAGES),--requirement $(member)/pyproject.toml) --all-extras
	@$(UV) pip install --quiet --python $(LOWEST_BIN)/python --group build --group dev
	@PATH="$(CURDIR)/$(LOWEST_BIN):$$PATH" $(UV) pip install --quiet --python $(LOWEST_BIN)/python --offline \
		--no-deps --no-build-isolation $(addprefix --editable ,$(PACKAGES))
	@$(LOWEST_BIN)/python -m pytest -n 2 --dist worksteal -m "not real and not slow"
	@$(LOWEST_BIN)/python -m pytest -n 4 --dist worksteal -m "real and not slow"

# --- benchmarks ------------------------------------------------------------------------

# The peers live apart from what we ship: in an environment of their own, with our packages.
BENCH_BIN := .venv-bench/bin
BENCH_STAMP := .venv-bench/.setup-done
PEERS := benchmarks/requirements-peers.txt
BENCH = $(BENCH_BIN)/python benchmarks/run.py

.PHONY: bench bench-quick lock-peers
bench: $(BENCH_STAMP) ## Measure the engine beside its peers; writes docs/performance.md
	@$(BENCH) --save --write-docs

bench-quick: $(BENCH_STAMP) ## The same with less work (about 3 minutes); writes nothing
	@$(BENCH) --quick

$(BENCH_STAMP): $(STAMP) $(PEERS) requirements/run.txt
	@$(PYTHON) -m venv --clear .venv-bench
	@echo '*' > .venv-bench/.gitignore
	@$(UV) pip sync --quiet --python $(BENCH_BIN)/python --require-hashes requirements/run.txt $(PEERS) \
		|| $(BENCH_BIN)/python -m pip install --quiet --require-hashes --requirement requirements/run.txt --requirement $(PEERS)
	@PATH="$(CURDIR)/$(BENCH_BIN):$$PATH" $(UV) pip install --quiet --python $(BENCH_BIN)/python --offline \
		--no-deps --no-build-isolation $(addprefix --editable ,$(PACKAGES))
	@touch $@

lock-peers: $(STAMP) ## Write the peers' pins anew, where they fit requirements/
	$(COMPILE) --constraint requirements/dev.txt benchmarks/requirements-peers.in --output-file $(PEERS)

# --- crash test ------------------------------------------------------------------------

.PHONY: crash-test crash-test-quick storm
crash-test: $(STAMP) ## Kill, stop and cut off real processes everywhere; prints the table
	@$(BIN)/python -m operator_core.testing.crash $(CRASH)

crash-test-quick: $(STAMP) ## One run for each crash point and engine (about 2 minutes)
	@$(BIN)/python -m operator_core.testing.crash --quick $(CRASH)

storm: $(STAMP) ## Kill and stop processes, set clocks and crash servers at random (2 minutes)
	@$(BIN)/python -m operator_core.testing.storm $(STORM)

clean: ## Remove the environment and every cache
	rm -rf $(VENV) .venv-bench .venv-lowest build dist .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find packages tests -name __pycache__ -type d -prune -exec rm -rf {} +

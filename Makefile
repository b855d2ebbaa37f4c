# Every recipe longer than a line lives in scripts/. `make` alone says what there is.

.DEFAULT_GOAL := help
.PHONY: help setup up test check conformance bench soak rules fmt

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make the environment, without running anything
	@scripts/setup.sh run

up: setup ## Start everything here; Ctrl-C stops it
	@exec .venv/bin/python -m gantry.cli up

test: ## Install what tests need, then run the whole suite
	@scripts/test.sh

check: ## Lint, types, import contracts, migrations, rulebook, documents
	@scripts/check.sh

conformance: setup ## Run every check whose input lies in DATA=dir
	@test -n "$(DATA)" || { echo "Say where the input is: make conformance DATA=dir" >&2; exit 2; }
	@.venv/bin/python -m gantry.cli conformance --data "$(DATA)"

bench: ## Measure the claims of docs/benchmarks.md again, each beside its peer
	@scripts/setup.sh bench
	@scripts/packages.sh dcmtk orthanc orthanc-dicomweb
	@.venv/bin/python -m gantry.cli bench $(ONLY)

soak: ## The long fault and history runs; SIZE=n SEED=n choose another
	@GANTRY_SOAK_SIZE="$(or $(SIZE),50)" GANTRY_SOAK_SEED="$(or $(SEED),1)" scripts/test.sh -m soak

rules: ## Print the rulebook into docs/rules
	@scripts/setup.sh dev
	@.venv/bin/python -m tests.spec.print

fmt: ## Put the code into its one shape
	@scripts/setup.sh dev
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

# Every target makes the environment it needs; `make help` lists them.
VENV ?= .venv
BIN := $(VENV)/bin
export VENV

.DEFAULT_GOAL := help
.PHONY: help run test fuzz lint types unit docs lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

run:  ## FixIt on an embedded SQLite file, with demo data, in your browser
	@scripts/environment.sh run
	@cd examples/fixit && exec "$(abspath $(BIN))/python" -m fixit serve --demo --open

test:  ## Everything CI runs: lint, types, floors, docs and all tests on every engine
	@scripts/environment.sh dev
	@$(MAKE) --no-print-directory lint types
	PYTHONHASHSEED=0 $(BIN)/pytest -q -n 4 --dist worksteal

fuzz:  ## The property tests, with examples nobody has tried yet
	@scripts/environment.sh dev
	$(BIN)/pytest -q -n 4 --dist worksteal --hypothesis-profile=new \
	  $$(grep -rlE '^from hypothesis import .*given' tests examples)

lint:  ## Format, lint, spelling and the floors of the house
	@scripts/environment.sh dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell src docs examples scripts *.md
	$(BIN)/lint-imports

types:  ## pyright, strict on the library
	@scripts/environment.sh dev
	$(BIN)/pyright

unit:  ## The tests that need no database, in seconds
	@scripts/environment.sh dev
	$(BIN)/pytest -q tests/unit

docs:  ## Build the documentation into docs/_build/html
	@scripts/environment.sh dev
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

lock:  ## Renew the lock files (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header -q -o locks/dev.txt
	uv pip compile pyproject.toml --extra examples --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q \
	  -o locks/run.txt

clean:  ## Remove the environment and everything built
	rm -rf $(VENV) docs/_build dist build .pytest_cache .ruff_cache .hypothesis
